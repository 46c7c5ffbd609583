"""Cluster DNS: service names of one machine's mesh, the rest from the host's resolvers."""
