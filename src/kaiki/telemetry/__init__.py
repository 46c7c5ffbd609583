"""Metrics: scraping, the series store, PromQL and the Prometheus HTTP API.

    pods ──scrape──▶ exposition ──▶ store (head, log, blocks) ◀── promql ◀── api ◀── console, Kiali, Grafana
    Envoy tcp_grpc ──▶ collector ──┘

It runs as a process of its own (`kaiki metrics`): three heavy queries at once would cost a control plane its latency.
"""
