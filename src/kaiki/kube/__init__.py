"""The Kubernetes client: the only code that calls that API.

Objects are plain dicts, as JSON carries them. `KubeClient` makes requests, `Cache` keeps a watched copy of a
collection.

    config ──▶ client ──▶ cache ──▶ subscribers
                 └──▶ manifest, events, lease
"""
