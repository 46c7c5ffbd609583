"""What a proxy has in force, in a form to be read: rows of listeners, routes, clusters, endpoints and certificates.

The source is the control plane's replica that serves the proxy (`/debug/config_dump`): it alone knows, resource by
resource, which version the proxy has acknowledged and which it refused, what an EnvoyFilter changed, and which object
every part was made from. Envoy's own dump tells neither, and reading it takes the right to run commands in pods, or to
forward ports to an admin interface that can also stop the proxy; the console has no such right.
"""
