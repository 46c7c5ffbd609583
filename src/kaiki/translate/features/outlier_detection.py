"""Leaving out endpoints that fail: Envoy's outlier detection."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2

from kaiki.model.policy.destination import OutlierDetection
from kaiki.translate.encode import duration


def set_outlier_detection(cluster: cluster_pb2.Cluster, policy: OutlierDetection | None) -> None:
    """Only what the user names is enforced: an unset kind of failure is not counted (Istio's rule)."""
    if policy is None:
        return
    detection = cluster.outlier_detection
    # Ejection by success rate is Envoy's default and not part of the API.
    detection.enforcing_success_rate.value = 0
    detection.enforcing_consecutive_5xx.value = 0
    if policy.consecutive_5xx is not None:
        detection.consecutive_5xx.value = policy.consecutive_5xx
        detection.enforcing_consecutive_5xx.value = 100 if policy.consecutive_5xx else 0
    elif policy.consecutive_gateway_errors is None:
        detection.consecutive_5xx.value = 5
        detection.enforcing_consecutive_5xx.value = 100
    if policy.consecutive_gateway_errors is not None:
        detection.consecutive_gateway_failure.value = policy.consecutive_gateway_errors
        detection.enforcing_consecutive_gateway_failure.value = 100 if policy.consecutive_gateway_errors else 0
    if policy.split_local_origin_errors:
        detection.split_external_local_origin_errors = True
        if policy.consecutive_local_origin_failures is not None:
            failures = policy.consecutive_local_origin_failures
            detection.consecutive_local_origin_failure.value = failures
            detection.enforcing_consecutive_local_origin_failure.value = 100 if failures else 0
    _set_pace(cluster, policy)


def _set_pace(cluster: cluster_pb2.Cluster, policy: OutlierDetection) -> None:
    detection = cluster.outlier_detection
    if policy.interval_seconds is not None:
        detection.interval.CopyFrom(duration(policy.interval_seconds))
    if policy.base_ejection_seconds is not None:
        detection.base_ejection_time.CopyFrom(duration(policy.base_ejection_seconds))
    if policy.max_ejection_percent is not None:
        detection.max_ejection_percent.value = policy.max_ejection_percent
    cluster.common_lb_config.healthy_panic_threshold.value = policy.min_health_percent
