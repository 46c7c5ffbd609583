"""A namespace's LimitRanges: the requests and limits of containers that name none, and what they may be at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kaiki.apiserver.quantities import parse_quantity

Object = dict[str, Any]
ANNOTATION = "kubernetes.io/limit-ranger"


def apply_limit_ranges(pod: Object, ranges: Iterable[Mapping[str, Any]]) -> None:
    """Write the defaults of a namespace's LimitRanges into a new pod, in place.

    As Kubernetes has it: `default` (else `max`) gives limits, `defaultRequest` (else the limit, else `min`) requests,
    and the annotation says what was set.
    """
    limits, requests = _defaults(ranges)
    notes = []
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(field) or ():
            resources = container.setdefault("resources", {})
            set_requests = _fill(resources, "requests", requests, (resources.get("limits") or {}))
            set_limits = _fill(resources, "limits", limits, {})
            for what, names in (("request", set_requests), ("limit", set_limits)):
                if names:
                    notes.append(f"{', '.join(names)} {what} for {word} {container['name']}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"


def _defaults(ranges: Iterable[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for one in ranges:
        for item in (one.get("spec") or {}).get("limits") or ():
            if item.get("type") == "Container":
                given = {**(item.get("max") or {}), **(item.get("default") or {})}
                limits |= given
                requests |= {**(item.get("min") or {}), **given, **(item.get("defaultRequest") or {})}
    return limits, requests


def _fill(resources: Object, field: str, wanted: Mapping[str, str], other: Mapping[str, Any]) -> list[str]:
    """A request that is not named follows a limit that is (`other`), which the general defaults have written."""
    present = resources.get(field) or {}
    missing = sorted(name for name in wanted if name not in present and name not in other)
    if missing:
        resources[field] = {**present, **{name: wanted[name] for name in missing}}
    return missing


def limit_complaints(pod: Object, ranges: Iterable[Mapping[str, Any]]) -> list[str]:
    """What of a complete pod is below a minimum or above a maximum, in Kubernetes's words."""
    complaints: list[str] = []
    for one in ranges:
        for item in (one.get("spec") or {}).get("limits") or ():
            if item.get("type") in ("Container", "Pod"):
                for held in _held(pod, item["type"]):
                    complaints += _compare(item, held)
    return complaints


def _held(pod: Object, kind: str) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """The resources of each container, or of all of them together."""
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    if kind == "Container":
        yield from (each.get("resources") or {} for each in containers)
        return
    total: dict[str, dict[str, Any]] = {"requests": {}, "limits": {}}
    for container in pod["spec"]["containers"]:
        for field, amounts in total.items():
            for name, amount in ((container.get("resources") or {}).get(field) or {}).items():
                amounts[name] = parse_quantity(amounts.get(name, 0)) + parse_quantity(amount)
    yield total


def _compare(item: Mapping[str, Any], held: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    requests, limits = held.get("requests") or {}, held.get("limits") or {}
    kind = item["type"]
    for name, least in (item.get("min") or {}).items():
        if name not in requests:
            yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
        elif parse_quantity(requests[name]) < parse_quantity(least):
            yield f"minimum {name} usage per {kind} is {least}, but request is {requests[name]}"
    for name, most in (item.get("max") or {}).items():
        if name not in limits:
            yield f"maximum {name} usage per {kind} is {most}.  No limit is specified"
        elif parse_quantity(limits[name]) > parse_quantity(most):
            yield f"maximum {name} usage per {kind} is {most}, but limit is {limits[name]}"
