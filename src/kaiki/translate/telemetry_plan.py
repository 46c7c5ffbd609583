"""What one proxy reports: Telemetry objects by precedence (root, namespace, workload) over the mesh config's defaults.

Each signal is merged by itself, element by element in that order. In a level only the oldest object counts. Rules:
Istio, "Telemetry" reference ("The hierarchy of Telemetry configuration").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kaiki.model.policy.telemetry import (
    DEFAULT_SAMPLING_PERCENT,
    LoggingRule,
    LogProvider,
    MetricsRule,
    Side,
    TagValue,
    TelemetryPolicy,
    TelemetrySettings,
    Tracer,
    TracingDefaults,
    TracingRule,
)
from kaiki.model.well_known import GATEWAY_NAME_LABEL

PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class TracingPlan:
    """How requests are traced. Without a tracer they are not."""

    tracer: Tracer
    sampling_percent: float
    custom_tags: tuple[TagValue, ...] = ()
    path_length: int = 0
    by_request_id: bool = True
    istio_tags: bool = True
    mesh_id: str = ""


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """How one metric differs from Istio's standard. A tag without a value is removed."""

    metric: str
    disabled: bool = False
    tags: tuple[tuple[str, TagValue | None], ...] = ()


@dataclass(frozen=True, slots=True)
class LogPlan:
    """One access log and which requests it is for (CEL; empty: all)."""

    provider: LogProvider
    expression: str = ""


@dataclass(frozen=True, slots=True)
class SidePlan:
    """What is reported of one side. `metrics` named `*` speak of all that no other speaks of."""

    tracing: TracingPlan | None = None
    metrics: tuple[MetricPlan, ...] = ()
    logs: tuple[LogPlan, ...] = ()


NOTHING_SPECIAL = SidePlan()


@dataclass(frozen=True, slots=True)
class TelemetryPlan:
    """What one proxy reports, by side."""

    client: SidePlan = NOTHING_SPECIAL
    server: SidePlan = NOTHING_SPECIAL

    @property
    def is_nothing(self) -> bool:
        return self.client is NOTHING_SPECIAL and self.server is NOTHING_SPECIAL

    def of(self, side: Side) -> SidePlan:
        return self.client if side is Side.CLIENT else self.server


def telemetry_plan(
    settings: TelemetrySettings,
    policies: tuple[TelemetryPolicy, ...],
    root_namespace: str,
    namespace: str,
    labels: tuple[tuple[str, str], ...],
    own: TracingDefaults | None,
) -> TelemetryPlan:
    """The plan of the proxies of one namespace with these labels; `own` is a pod's annotation."""
    chosen = tuple(applicable(policies, root_namespace, namespace, labels))
    sides = (
        SidePlan(
            tracing=_tracing(settings, [rule for one in chosen for rule in one.tracing], side, own),
            metrics=_metrics(settings, [rule for one in chosen for rule in one.metrics], side),
            logs=_logs(settings, [rule for one in chosen for rule in one.logging], side),
        )
        for side in (Side.CLIENT, Side.SERVER)
    )
    return TelemetryPlan(*(NOTHING_SPECIAL if side == NOTHING_SPECIAL else side for side in sides))


def applicable(
    policies: Iterable[TelemetryPolicy], root_namespace: str, namespace: str, labels: tuple[tuple[str, str], ...]
) -> Iterator[TelemetryPolicy]:
    """The objects for a workload, from the widest to the narrowest; `policies` are the oldest first."""
    policies = tuple(policies)
    for space in dict.fromkeys((root_namespace, namespace)):
        general = (one for one in policies if one.source.namespace == space and one.is_general)
        yield from _first(general)
    pairs, gateway = set(labels), dict(labels).get(GATEWAY_NAME_LABEL)
    special = (
        one
        for one in policies
        if one.source.namespace == namespace
        and ((one.selector and set(one.selector) <= pairs) or (gateway is not None and gateway in one.gateways))
    )
    yield from _first(special)


def _first(policies: Iterator[TelemetryPolicy]) -> Iterator[TelemetryPolicy]:
    first = next(policies, None)
    if first is not None:
        yield first


def _tracing(
    settings: TelemetrySettings, rules: Iterable[TracingRule], side: Side, own: TracingDefaults | None
) -> TracingPlan | None:
    names, merged = settings.default_tracers, TracingRule()
    for rule in rules:
        if side not in rule.sides:
            continue
        names = rule.providers or names
        said = {
            field: value
            for field in ("sampling_percent", "disabled", "custom_tags", "by_request_id", "istio_tags")
            if (value := getattr(rule, field)) is not None
        }
        merged = replace(merged, **said)
    tracer = next((one for name in names for one in settings.tracers if one.name == name), None)
    if tracer is None or merged.disabled or not settings.tracing_enabled:
        return None
    sampling = _said(merged.sampling_percent, own and own.sampling_percent, settings.tracing.sampling_percent)
    tags = _said(merged.custom_tags, own and own.custom_tags, settings.tracing.custom_tags)
    length = _said(own and own.path_length, settings.tracing.path_length)
    return TracingPlan(
        tracer=tracer,
        sampling_percent=DEFAULT_SAMPLING_PERCENT if sampling is None else float(sampling),
        custom_tags=tags or (),
        path_length=length or tracer.path_length,
        by_request_id=merged.by_request_id is not False,
        istio_tags=merged.istio_tags is not False,
        mesh_id=settings.mesh_id,
    )


def _said(*values: object) -> Any:
    """The first that says something."""
    return next((value for value in values if value is not None), None)


def _metrics(settings: TelemetrySettings, rules: Iterable[MetricsRule], side: Side) -> tuple[MetricPlan, ...]:
    """By metric; the one called `*` is for every metric that has none of its own."""
    providers, plans = settings.default_metrics, {"*": MetricPlan("*")}
    for rule in rules:
        providers = rule.providers or providers
        if PROMETHEUS not in providers:
            continue
        for override in (one for one in rule.overrides if side in one.sides):
            for name in override.metrics or tuple(plans):
                plan = plans.get(name) or replace(plans["*"], metric=name)
                tags = dict(plan.tags) | dict(override.tags)
                disabled = plan.disabled if override.disabled is None else override.disabled
                plans[name] = MetricPlan(name, disabled, tuple(sorted(tags.items(), key=lambda item: item[0])))
    if PROMETHEUS not in providers:
        return (MetricPlan("*", disabled=True),)
    if plans == {"*": MetricPlan("*")}:
        return ()
    return tuple(plans[name] for name in sorted(plans))


def _logs(settings: TelemetrySettings, rules: Iterable[LoggingRule], side: Side) -> tuple[LogPlan, ...]:
    providers = settings.default_logs
    spoken: dict[str, LoggingRule | None] = {}
    for rule in rules:
        providers = rule.providers or providers
        if side in rule.sides:
            spoken |= dict.fromkeys(providers, rule)
        elif rule.providers:
            # It names who is told of the other side; of this side nobody is unless another rule says so.
            spoken |= {name: spoken.get(name) for name in providers}
    known = {one.name: one for one in settings.logs}
    plans = []
    for name in dict.fromkeys(providers):
        said = spoken.get(name, LoggingRule())
        if name in known and said is not None and not said.disabled:
            plans.append(LogPlan(known[name], said.expression))
    return tuple(plans)
