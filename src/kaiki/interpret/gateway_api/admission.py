"""What is wrong with an object of the Gateway API before it is stored: what its status would say, as findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kaiki.interpret.gateway_api.interpretation import Registered, gateway_api
from kaiki.interpret.gateway_api.objects import GROUP, KUBERNETES_GATEWAY, ROUTE_KINDS, ByKind, Object, Status
from kaiki.model.finding import Finding, Severity
from kaiki.model.memo import Memo
from kaiki.resources import core

_KINDS = (KUBERNETES_GATEWAY, "ListenerSet", "BackendTLSPolicy", *ROUTE_KINDS)
_EXPERIMENTAL_GROUP = "gateway.networking.x-k8s.io"
_IDLE = {
    "UDPRoute": "Proxies carry TCP only: call the Service itself.",
    "XBackend": "Write a ServiceEntry.",
    "XBackendTrafficPolicy": "Write a DestinationRule, or retries and sessionPersistence in the route.",
    "XMesh": "The mesh's settings are the ConfigMap istio-system/istio.",
}
"""Kinds that are stored and do nothing here, and what to do instead."""
_BAD = {"Accepted": "False", "ResolvedRefs": "False", "Conflicted": "True"}
_PARTS = {"parents": "spec.parentRefs", "listeners": "spec.listeners", "ancestors": "spec.targetRefs"}
"""Where in the spec stands what a list of the status is about."""


def kind_of(obj: Object) -> str:
    """The kind of an object as among the inputs; empty for what is not of the Gateway API."""
    if str(obj.get("apiVersion")).partition("/")[0] not in (GROUP, _EXPERIMENTAL_GROUP):
        return ""
    return KUBERNETES_GATEWAY if obj.get("kind") == "Gateway" else str(obj.get("kind"))


def status_findings(obj: Object, by_kind: ByKind, mesh: Registered) -> list[Finding]:
    """Findings about one object, which may or may not be among the inputs already."""
    kind = kind_of(obj)
    if kind in _IDLE:
        message = f"unsupported: it is stored, and nothing here acts on a {kind}."
        return [Finding("KAI0902", Severity.WARNING, core.reference(obj), "spec", message, _IDLE[kind])]
    if kind not in _KINDS:
        return []
    place = core.namespace(obj), core.name(obj)
    others = [one for one in by_kind.get(kind, ()) if (core.namespace(one), core.name(one)) != place]
    found = gateway_api({**by_kind, kind: [*others, obj]}, mesh, Memo())
    status = found.statuses.get((kind, *place))
    if status is None:
        return list(_of_nobody(obj, kind))
    return list(dict.fromkeys(_problems(obj, status)))


def _of_nobody(obj: Object, kind: str) -> Iterator[Finding]:
    if kind in ROUTE_KINDS and core.spec(obj).get("parentRefs"):
        message = "none of its parents is a Gateway, ListenerSet or Service of this mesh."
        hint = "Create the parent, or correct its name and namespace."
        yield Finding("KAI0901", Severity.WARNING, core.reference(obj), "spec.parentRefs", message, hint)


def _problems(obj: Object, status: Status) -> Iterator[Finding]:
    yield from _of_conditions(obj, status.get("conditions") or (), "spec")
    for field, path in _PARTS.items():
        for index, part in enumerate(status.get(field) or ()):
            name = part.get("name")
            place = f"{path}[{name}]" if name else path if field == "ancestors" else f"{path}[{index}]"
            yield from _of_conditions(obj, part.get("conditions") or (), place)


def _of_conditions(obj: Object, conditions: Iterable[Mapping[str, Any]], path: str) -> Iterator[Finding]:
    for one in conditions:
        if _BAD.get(str(one["type"])) == one["status"]:
            what = str(one["message"]) or f"{one['type']} is {one['status']}."
            message = f"{one['reason']}: {what}"
            hint = "Correct it; the status of the object says when all of it is in force."
            yield Finding("KAI0901", Severity.WARNING, core.reference(obj), path, message, hint)
