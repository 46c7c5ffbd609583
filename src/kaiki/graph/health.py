"""Health: every colour has numbers behind it. The thresholds are those the field's users know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kaiki.graph.model import Health, HealthStatus, Reason
from kaiki.graph.registry import RegistryWorkload

_ORDER = list(HealthStatus)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above `degraded` (a share, exclusive) is degraded; from `failure` on is failure."""

    degraded: float
    failure: float


THRESHOLDS: Mapping[str, Threshold] = {
    "http5xx": Threshold(degraded=0.0, failure=0.1),
    "noResponse": Threshold(degraded=0.0, failure=0.1),
    "grpc": Threshold(degraded=0.0, failure=0.1),
    "http4xx": Threshold(degraded=0.1, failure=0.2),
}


def classify(protocol: str, code: str) -> str | None:
    """The threshold that counts this response code, or None for a success.

    gRPC codes are 1 to 16; a gRPC request may also end with an HTTP code. Code 0 over HTTP is a request without a
    response.
    """
    if protocol == "grpc" and len(code) < 3:
        return "grpc" if code != "0" else None
    if code == "0":
        return "noResponse"
    if code.startswith("5"):
        return "http5xx"
    return "http4xx" if code.startswith("4") else None


def judge_traffic(direction: str, counts: Mapping[tuple[str, str], float]) -> tuple[Reason, ...]:
    """Reasons from request counts by (protocol, code)."""
    total = sum(counts.values())
    if total <= 0:
        return ()
    errors: dict[str, float] = {}
    for (protocol, code), count in counts.items():
        if kind := classify(protocol, code):
            errors[kind] = errors.get(kind, 0.0) + count
    reasons = (_judge_share(direction, kind, count / total) for kind, count in sorted(errors.items()))
    return tuple(reason for reason in reasons if reason is not None)


def _judge_share(direction: str, kind: str, share: float) -> Reason | None:
    threshold = THRESHOLDS[kind]
    share = float(f"{share:.9g}")
    if share >= threshold.failure:
        return Reason(kind, direction, HealthStatus.FAILURE, share, threshold.failure)
    at_threshold = share > threshold.degraded or (threshold.degraded > 0 and share == threshold.degraded)
    return Reason(kind, direction, HealthStatus.DEGRADED, share, threshold.degraded) if at_threshold else None


def judge_workload(workload: RegistryWorkload) -> tuple[Reason, ...]:
    """Reasons from replicas: none wanted is not ready, none available a failure, some missing degraded."""
    desired, available = workload.desired_replicas, workload.available_replicas
    if desired == 0:
        status = HealthStatus.NOT_READY
    elif available == 0:
        status = HealthStatus.FAILURE
    elif available < desired:
        status = HealthStatus.DEGRADED
    else:
        return ()
    return (Reason("replicas", "workload", status, float(available), float(desired)),)


def conclude(reasons: Iterable[Reason], *, traffic: bool) -> Health:
    """The worst reason wins; without any, a node with traffic is healthy and one without is idle."""
    kept = tuple(reasons)
    best = HealthStatus.HEALTHY if traffic else HealthStatus.IDLE
    return Health(max((reason.status for reason in kept), key=_ORDER.index, default=best), kept)
