"""The frozen vocabulary every part of Kaiki speaks: no effects, no API objects, only values.

resources ──interpret──▶ MeshSnapshot ──translate──▶ Envoy resources
                               └──────graph/console──▶ what a user sees
"""
