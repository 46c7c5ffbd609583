"""Bytes of TCP connections, reported by Envoy's `tcp_grpc` access log while they live."""
