"""A namespace's LimitRanges: the requests and limits of containers that name none.

Minima and maxima are not enforced: on one machine they are a promise to nobody, and a mesh must not fail for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
