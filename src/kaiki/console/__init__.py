"""The console: a JSON API over the metrics store and the Kubernetes API, and the built web UI.

browser ──session cookie──▶ access ──▶ handlers ──▶ metrics (PromQL over HTTP) ─▶ kaiki.graph
                                           └──────▶ inventory (watched copies of the Kubernetes API)
"""
