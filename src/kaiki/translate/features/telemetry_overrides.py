"""Changes of Istio's standard metrics, applied to finished loggers: metrics off, labels removed, set or added.

It knows of a logger only its shape (counters and histograms with a name and tags; or custom tags), so that how the
standard is made is `telemetry`'s own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from google.protobuf.json_format import MessageToDict

from kaiki.model.policy.telemetry import Side, TagSource, TagValue
from kaiki.translate.encode import pack, pack_struct
from kaiki.translate.features.compact_labels import TAG, compact_format
from kaiki.translate.features.metric_labels import METADATA_NAMESPACE, Reporter
from kaiki.translate.features.telemetry import or_unknown, request_labels
from kaiki.translate.telemetry_plan import MetricPlan

_STATS = "envoy.access_loggers.stats"
_COLLECTED: Mapping[str, tuple[str, str]] = {
    "kaiki.tcp": ("istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"),
    "kaiki.grpc": ("istio_request_messages_total", "istio_response_messages_total"),
}
"""Log name → the metrics that the collector makes of its entries."""
_NONE = MetricPlan("*")
Plans = Mapping[str, MetricPlan]


def overridden(
    loggers: Iterable[accesslog_pb2.AccessLog], metrics: Iterable[MetricPlan], side: Side
) -> Iterator[accesslog_pb2.AccessLog]:
    """The loggers of a filter, changed; those that would count nothing are left out, others pass unchanged."""
    plans = {one.metric: one for one in metrics}
    for log in loggers:
        if log.name == _STATS:
            yield from _stats(log, plans, side)
        elif log.name in ("envoy.access_loggers.tcp_grpc", "envoy.access_loggers.http_grpc"):
            yield from _collected(log, plans, side)
        else:
            yield log


def _plan(plans: Plans, metric: str) -> MetricPlan:
    return plans.get(metric) or plans.get("*") or _NONE


def _stats(log: accesslog_pb2.AccessLog, plans: Plans, side: Side) -> Iterator[accesslog_pb2.AccessLog]:
    from xds.type.v3 import typed_struct_pb2

    struct = typed_struct_pb2.TypedStruct.FromString(log.typed_config.value)
    config: dict[str, Any] = MessageToDict(struct.value)
    for kind in ("counters", "histograms"):
        kept = [one for one in config.get(kind, ()) if not _plan(plans, one["stat"]["name"]).disabled]
        for one in kept:
            stat = one["stat"]
            plan = _plan(plans, stat["name"])
            tags = _apart([(tag["name"], tag["value_format"]) for tag in stat.get("tags", ())], plan)
            stat["tags"] = [{"name": name, "value_format": value} for name, value in _changed(tags, plan, side)]
        config[kind] = kept
    config = {key: value for key, value in config.items() if value != []}
    if "counters" in config or "histograms" in config:
        changed = accesslog_pb2.AccessLog()
        changed.CopyFrom(log)
        changed.typed_config.CopyFrom(pack_struct(struct.type_url.rpartition("/")[2], config))
        yield changed


def _apart(tags: list[tuple[str, str]], plan: MetricPlan) -> list[tuple[str, str]]:
    """The tags, with the one that holds all of Istio's labels taken apart if any of those is to change."""
    for name, value in tags:
        known = _compact_formats().get(value) if name == TAG else None
        if known is not None:
            labels = request_labels(*known)
            if not {name for name, _ in labels}.isdisjoint(name for name, _ in plan.tags):
                return [*labels, *(tag for tag in tags if tag[0] != TAG)]
    return tags


@cache
def _compact_formats() -> dict[str, tuple[Reporter, str]]:
    return {
        compact_format(reporter, protocol): (reporter, protocol)
        for reporter in Reporter
        for protocol in ("http", "grpc")
    }


def _collected(log: accesslog_pb2.AccessLog, plans: Plans, side: Side) -> Iterator[accesslog_pb2.AccessLog]:
    from envoy.extensions.access_loggers.grpc.v3 import als_pb2

    kind = als_pb2.TcpGrpcAccessLogConfig if log.name.endswith("tcp_grpc") else als_pb2.HttpGrpcAccessLogConfig
    config = kind.FromString(log.typed_config.value)
    metrics = _COLLECTED.get(config.common_config.log_name)
    if metrics is None:
        yield log
        return
    if all(_plan(plans, metric).disabled for metric in metrics):
        return
    tags = config.common_config.custom_tags
    kept = list(_changed(((tag.tag, tag.value) for tag in tags), _plan(plans, metrics[0]), side))
    del tags[:]
    for name, value in kept:
        tags.add(tag=name, value=value)
    changed = accesslog_pb2.AccessLog()
    changed.CopyFrom(log)
    changed.typed_config.CopyFrom(pack(config))
    yield changed


def _changed(tags: Iterable[tuple[str, str]], plan: MetricPlan, side: Side) -> Iterator[tuple[str, str]]:
    changes = dict(plan.tags)
    for name, value in tags:
        if name not in changes:
            yield name, value
    for name, tag in plan.tags:
        if tag is not None:
            yield name, format_of(tag, side)


def format_of(tag: TagValue, side: Side) -> str:
    """The format string that gives a tag's value; `unknown` where there is none."""
    if tag.source is TagSource.LITERAL:
        return tag.value.replace("%", "%%")
    if tag.source is TagSource.PEER and side is Side.CLIENT:
        return or_unknown("UPSTREAM_METADATA", f"{METADATA_NAMESPACE}:{tag.value}")
    if tag.source is TagSource.PEER:
        return or_unknown("FILTER_STATE", f"peer.{tag.value}:PLAIN")
    return or_unknown("CEL", tag.value)
