"""Distributed traces: receivers (OTLP, Zipkin), a bounded store on disk, and Jaeger's query API."""
