"""Limits on what a proxy opens to a host: Envoy's circuit breakers, as far as they are not meant to limit anything."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2

from kaiki.model.policy.destination import ConnectionPool, RetryBudget

NO_LIMIT = 4294967295


def set_circuit_breakers(cluster: cluster_pb2.Cluster, pool: ConnectionPool, budget: RetryBudget | None = None) -> None:
    """Set the user's limits; Envoy's own (1024) are lifted: a sidecar must not be the bottleneck (Istio's rule)."""
    thresholds = cluster.circuit_breakers.thresholds.add()
    thresholds.max_connections.value = pool.max_connections or NO_LIMIT
    thresholds.max_pending_requests.value = pool.max_pending_requests or NO_LIMIT
    thresholds.max_requests.value = pool.max_requests or NO_LIMIT
    thresholds.max_retries.value = pool.max_retries or NO_LIMIT
    thresholds.track_remaining = True
    if budget is not None:
        thresholds.retry_budget.budget_percent.value = budget.percent
        thresholds.retry_budget.min_retry_concurrency.value = budget.min_concurrency
