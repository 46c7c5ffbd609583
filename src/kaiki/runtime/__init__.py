"""The local runtime: pods as processes in network namespaces, without a cluster and without root."""
