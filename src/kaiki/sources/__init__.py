"""From the API to a snapshot, and from findings back to the objects they are about.

caches ──▶ inputs ──▶ interpret ──▶ subscribers (discovery, admission)
                          └──▶ findings ──▶ status of the objects
"""
