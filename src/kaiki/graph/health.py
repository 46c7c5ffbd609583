"""Health: every colour has numbers behind it, and the tolerances those are held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kaiki.graph.model import Health, HealthStatus, Reason
from kaiki.graph.registry import RegistryWorkload
from kaiki.graph.tolerances import DEFAULTS, Tolerance
from kaiki.graph.traffic import tidy

_ORDER = list(HealthStatus)


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """So many requests that ended with this code, for this reason of Envoy's (`-`: none)."""

    protocol: str
    code: str
    flags: str
    count: float


class Check(msgspec.Struct, frozen=True, rename="camel"):
    """One tolerance held against the numbers. `name` is that of the default, or `configured`; `code`, `protocol` and
    `applies_to` are its patterns, `direction` what was looked at. Shares are 0 to 1; `share` is null without requests.
    """

    name: str
    source: str
    code: str
    protocol: str
    applies_to: str
    direction: str
    degraded: float
    failure: float
    status: HealthStatus
    requests: float
    errors: float
    share: float | None
    outcomes: tuple[Outcome, ...] = ()


class ReplicaCheck(msgspec.Struct, frozen=True, rename="camel"):
    """The replicas of one workload, wanted and there."""

    namespace: str
    name: str
    desired: int
    available: int
    status: HealthStatus


class Examination(msgspec.Struct, frozen=True, rename="camel"):
    """Why a node or an edge has its health: every check, also those that found nothing."""

    id: str
    health: Health
    checks: tuple[Check, ...]
    replicas: tuple[ReplicaCheck, ...]
    workloads: tuple[RegistryWorkload, ...]


Outcomes = Mapping[tuple[str, str, str], float]
"""Requests by protocol, code and flags."""


def check_traffic(direction: str, counts: Outcomes, tolerances: tuple[Tolerance, ...] = DEFAULTS) -> tuple[Check, ...]:
    """Every tolerance that looks at a direction, held against what went there."""
    total = sum(counts.values())
    return tuple(_check(one, direction, counts, total) for one in tolerances if one.looks_at(direction))


def _check(tolerance: Tolerance, direction: str, counts: Outcomes, total: float) -> Check:
    found = {key: count for key, count in counts.items() if count > 0 and tolerance.counts(key[0], key[1])}
    errors = sum(found.values())
    share = tidy(errors / total) if total > 0 else None
    return Check(
        name=tolerance.name,
        source=tolerance.source,
        code=tolerance.code,
        protocol=tolerance.protocol,
        applies_to=tolerance.direction,
        direction=direction,
        degraded=tolerance.degraded,
        failure=tolerance.failure,
        status=HealthStatus.IDLE if share is None else _judge(tolerance, share),
        requests=tidy(total),
        errors=tidy(errors),
        share=share,
        outcomes=tuple(
            Outcome(*key, tidy(count)) for key, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def _judge(tolerance: Tolerance, share: float) -> HealthStatus:
    if share >= tolerance.failure:
        return HealthStatus.FAILURE
    above = share > tolerance.degraded or (tolerance.degraded > 0 and share == tolerance.degraded)
    return HealthStatus.DEGRADED if above else HealthStatus.HEALTHY


def judge_traffic(
    direction: str, outcomes: Sequence[tuple[str, str, str, float]], tolerances: tuple[Tolerance, ...] = DEFAULTS
) -> tuple[Reason, ...]:
    """Reasons from requests by (protocol, code, flags, count): of `check_traffic` what found too many errors."""
    total = sum(count for _, _, _, count in outcomes)
    return tuple(
        _reason(one, direction, status, share)
        for one in tolerances
        if one.looks_at(direction)
        if (errors := sum(count for protocol, code, _, count in outcomes if count > 0 and one.counts(protocol, code)))
        if (status := _judge(one, share := tidy(errors / total))) is not HealthStatus.HEALTHY
    )


def _reason(tolerance: Tolerance, direction: str, status: HealthStatus, share: float) -> Reason:
    return Reason(
        code=tolerance.name,
        direction=direction,
        status=status,
        value=share,
        threshold=tolerance.failure if status is HealthStatus.FAILURE else tolerance.degraded,
        pattern=tolerance.code if tolerance.name == "configured" else "",
    )


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


def check_replicas(workload: RegistryWorkload) -> ReplicaCheck:
    """The same, also where nothing is missing."""
    found = judge_workload(workload)
    return ReplicaCheck(
        workload.namespace,
        workload.name,
        workload.desired_replicas,
        workload.available_replicas,
        found[0].status if found else HealthStatus.HEALTHY,
    )


def conclude(reasons: Iterable[Reason], *, traffic: bool) -> Health:
    """The worst reason wins; without any, a node with traffic is healthy and one without is idle."""
    kept = tuple(reasons)
    best = HealthStatus.HEALTHY if traffic else HealthStatus.IDLE
    return Health(max((reason.status for reason in kept), key=_ORDER.index, default=best), kept)
