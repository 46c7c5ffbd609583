"""HorizontalPodAutoscalers under autoscaling/v1, which knows one target only: how busy the CPU may be.

They are stored as autoscaling/v2. What v1 has no field for stands in annotations (`autoscaling.alpha.kubernetes.io/…`),
as Kubernetes writes them, so that a client of v1 that reads, changes and writes back loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

Object = dict[str, Any]
PLURAL = "horizontalpodautoscalers"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT_METRICS = f"{_PREFIX}metrics", f"{_PREFIX}current-metrics"
BEHAVIOR, CONDITIONS = f"{_PREFIX}behavior", f"{_PREFIX}conditions"
DEFAULT_UTILIZATION = 80
_VALUES = {"value": "Value", "averageValue": "AverageValue", "averageUtilization": "AverageUtilization"}
_SOURCES = {
    "Object": "object", "Pods": "pods", "Resource": "resource",
    "ContainerResource": "containerResource", "External": "external",
}  # fmt: skip


def to_v1(value: Object) -> Object:
    """An autoscaling/v2 object as autoscaling/v1 shows it."""
    spec, status = dict(value.get("spec") or {}), dict(value.get("status") or {})
    kept: Object = {}
    metrics = spec.pop("metrics", None) or []
    others = [each for each in metrics if _cpu_utilization(each, "target") is None]
    for each in metrics:
        if (percentage := _cpu_utilization(each, "target")) is not None:
            spec["targetCPUUtilizationPercentage"] = percentage
    _keep(kept, METRICS, [_flat(each, "target") for each in others])
    _keep(kept, BEHAVIOR, spec.pop("behavior", None))
    current = status.pop("currentMetrics", None) or []
    for each in current:
        if (percentage := _cpu_utilization(each, "current")) is not None:
            status["currentCPUUtilizationPercentage"] = percentage
    _keep(kept, CURRENT_METRICS, [_flat(each, "current") for each in current])
    _keep(kept, CONDITIONS, status.pop("conditions", None))
    return _rebuilt(value, "autoscaling/v1", kept, spec, status)


def to_v2(value: Object) -> Object:
    """An autoscaling/v1 object as it is stored; annotations that cannot be read stay what they are."""
    spec, status = dict(value.get("spec") or {}), dict(value.get("status") or {})
    annotations = value["metadata"].get("annotations") or {}
    metrics = [_nested(each, "target") for each in _read(annotations, METRICS, list)]
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    spec |= {"metrics": metrics} if metrics else {}
    behavior = _read(annotations, BEHAVIOR, dict)
    spec |= {"behavior": behavior} if behavior else {}
    status.pop("currentCPUUtilizationPercentage", None)
    current = [_nested(each, "current") for each in _read(annotations, CURRENT_METRICS, list)]
    status |= {"currentMetrics": current} if current else {}
    conditions = _read(annotations, CONDITIONS, list)
    status |= {"conditions": conditions} if conditions else {}
    return _rebuilt(value, "autoscaling/v2", {}, spec, status)


def default_autoscaler(value: Object) -> None:
    """At least one pod, and without any target 80 % of the CPU requested. In place, in either version."""
    spec = value.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if value["apiVersion"] != "autoscaling/v1":
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": DEFAULT_UTILIZATION}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    elif METRICS not in (value["metadata"].get("annotations") or {}):
        spec.setdefault("targetCPUUtilizationPercentage", DEFAULT_UTILIZATION)


def targets(value: Object) -> str:
    """The targets as `kubectl get hpa` shows them: `cpu: <unknown>/50%`."""
    value = to_v2(value) if value["apiVersion"] == "autoscaling/v1" else value
    current = (value.get("status") or {}).get("currentMetrics") or []
    told = []
    for at, metric in enumerate((value.get("spec") or {}).get("metrics") or ()):
        source = metric.get(_SOURCES.get(metric.get("type"), "")) or {}
        found = current[at].get(_SOURCES.get(metric["type"], "")) if at < len(current) else None
        now = _amount((found or {}).get("current") or {}) or "<unknown>"
        name = source.get("name")
        told.append((f"{name}: " if name else "") + f"{now}/{_amount(source.get('target') or {}) or '<auto>'}")
    more = f" + {len(told) - 2} more..." if len(told) > 2 else ""
    return ", ".join(told[:2]) + more if told else "<none>"


def _amount(target: Object) -> str:
    if target.get("averageUtilization") is not None:
        return f"{target['averageUtilization']}%"
    if target.get("averageValue") is not None:
        return (
            f"{target['averageValue']} (avg)" if target.get("type") == "AverageValue" else str(target["averageValue"])
        )
    return str(target.get("value") or "")


def _cpu_utilization(metric: Object, key: str) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    found: int | None = (resource.get(key) or {}).get("averageUtilization")
    return found


def _flat(metric: Object, key: str) -> Object:
    """A metric (`key` target) or a metric's status (`key` current) with the field names of v1."""
    field = _SOURCES.get(metric.get("type", ""))
    if field is None or not isinstance(metric.get(field), dict):
        return metric
    source = dict(metric[field])
    amount, named = source.pop(key, None) or {}, source.pop("metric", None) or {}
    if "describedObject" in source:
        source["target"] = source.pop("describedObject")
    if field == "external":
        source |= {"metricName": named.get("name", "")}
        source |= {"metricSelector": named["selector"]} if "selector" in named else {}
    elif field in ("object", "pods"):
        source |= {"metricName": named.get("name", "")}
        source |= {"selector": named["selector"]} if "selector" in named else {}
    for name, suffix in _VALUES.items():
        if name in amount:
            source[_value_name(field, key, name, suffix)] = amount[name]
    return {"type": metric["type"], field: source}


def _nested(metric: Any, key: str) -> Object:
    """The other way round."""
    field = _SOURCES.get(metric.get("type", "")) if isinstance(metric, dict) else None
    if field is None or not isinstance(metric.get(field), dict):
        return metric if isinstance(metric, dict) else {}
    source, amount = dict(metric[field]), {}
    for name, suffix in _VALUES.items():
        if (found := source.pop(_value_name(field, key, name, suffix), None)) is not None:
            amount[name] = found
    if key == "target":
        kinds = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
        amount = {"type": next((kinds[name] for name in kinds if name in amount), "Value"), **amount}
    if field in ("object", "pods", "external"):
        named = {"name": source.pop("metricName", "")}
        selector = source.pop("metricSelector" if field == "external" else "selector", None)
        source["metric"] = named | ({"selector": selector} if selector else {})
        if "target" in source:
            source["describedObject"] = source.pop("target")
    return {"type": metric["type"], field: {**source, key: amount}}


def _value_name(field: str, key: str, name: str, suffix: str) -> str:
    """`targetAverageValue`, `currentValue`; an object's average is `averageValue` in both."""
    return "averageValue" if field == "object" and name == "averageValue" else f"{key}{suffix}"


def _keep(annotations: Object, name: str, value: Any) -> None:
    if value:
        annotations[name] = orjson.dumps(value).decode()


def _read(annotations: Object, name: str, kind: Callable[[], Any]) -> Any:
    """What an annotation holds; an empty value of the kind when it is missing or unreadable."""
    try:
        found = orjson.loads(annotations.get(name) or "null")
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, type(kind())) else kind()


def _rebuilt(value: Object, api_version: str, kept: Object, spec: Object, status: Object) -> Object:
    metadata = dict(value["metadata"])
    before = {
        name: text
        for name, text in (metadata.pop("annotations", None) or {}).items()
        if name not in (METRICS, CURRENT_METRICS, BEHAVIOR, CONDITIONS)
    }
    if annotations := before | kept:
        metadata["annotations"] = annotations
    result = {**value, "apiVersion": api_version, "metadata": metadata, "spec": spec}
    if status or "status" in value:
        result["status"] = status
    return result
