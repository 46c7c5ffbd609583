"""Kaiki's own reconcilers, the same on one machine and on a cluster: what the mesh keeps true in the API.

Each looks at a cache, compares, and patches what differs; nothing is written when all is as it should be.
"""
