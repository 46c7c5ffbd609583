"""The status of the Gateway API's objects, as the specification words it; times are added where it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaiki.interpret.gateway_api.attachment import Parent
from kaiki.interpret.gateway_api.backend_tls import BackendTls
from kaiki.interpret.gateway_api.deployments import balancer_addresses, external_addresses
from kaiki.interpret.gateway_api.features import SUPPORTED
from kaiki.interpret.gateway_api.listeners import Listener, overlapping
from kaiki.interpret.gateway_api.objects import (
    CONTROLLER,
    GROUP,
    KUBERNETES_GATEWAY,
    Object,
    Problem,
    Status,
    condition,
    judged,
)
from kaiki.resources import core


def class_status(obj: Object) -> Status:
    """A GatewayClass of ours."""
    return {
        "conditions": [condition(obj, "Accepted", True, "Accepted", "Handled by Kaiki.")],
        "supportedFeatures": [{"name": name} for name in SUPPORTED],
    }


def gateway_status(
    obj: Object,
    listeners: list[Listener],
    addresses: list[Status],
    unready: Problem | None,
    unaccepted: Problem | None,
    attached_sets: int,
) -> Status:
    """A Gateway and its own listeners. `unready` says why its pods cannot take traffic."""
    own = [item for item in listeners if item.owner is obj]
    refused = unaccepted or _none_valid(own)
    programmed = Problem("Invalid", refused.message) if refused is not None else unready
    accepted = judged(obj, "Accepted", refused)
    if refused is None and any(item.unaccepted or item.conflict for item in own):
        accepted["reason"], accepted["message"] = "ListenersNotValid", "some listeners are not in force; see each."
    status: Status = {
        "conditions": [accepted, judged(obj, "Programmed", programmed)],
        "listeners": [_listener(obj, item, programmed, listeners) for item in own],
        "attachedListenerSets": attached_sets,
    }
    if addresses and refused is None:
        status["addresses"] = addresses
    return status


def _none_valid(own: list[Listener]) -> Problem | None:
    invalid = [item for item in own if item.unaccepted or item.conflict]
    if own and len(invalid) == len(own):
        return Problem("ListenersNotValid", "no listener is in force; see each.")
    return None


def _listener(obj: Object, item: Listener, unready: Problem | None, others: list[Listener]) -> Status:
    refused = item.unaccepted or item.conflict
    programmed = unready
    if refused is not None:
        programmed = Problem("Invalid", refused.message)
    elif not item.in_force:
        programmed = Problem("Invalid", item.unresolved.message if item.unresolved else "")
    elif item.unresolved is not None:
        programmed = Problem("Invalid", item.unresolved.message)
    elif unready is not None:
        programmed = Problem("Pending", unready.message)
    conflicted = judged(obj, "Conflicted", Problem("NoConflicts", ""))
    if item.conflict is not None:
        conflicted = condition(obj, "Conflicted", True, item.conflict.reason, item.conflict.message)
    shared = []
    if overlapping(item, others):
        message = "another listener at this port answers for some of these hosts; misdirected requests get 421."
        shared.append(condition(obj, "OverlappingTLSConfig", True, "OverlappingHostnames", message))
    return {
        "name": item.name,
        "supportedKinds": [{"group": GROUP, "kind": kind} for kind in item.kinds],
        "attachedRoutes": len(item.attached),
        "conditions": [
            judged(obj, "Accepted", refused),
            conflicted,
            judged(obj, "ResolvedRefs", item.unresolved),
            judged(obj, "Programmed", programmed),
            *shared,
        ],
    }


def set_status(obj: Object, listeners: list[Listener], refused: Problem | None, unready: Problem | None) -> Status:
    """A ListenerSet; `refused` if its Gateway does not let it in."""
    own = [item for item in listeners if item.owner is obj]
    if refused is not None:
        return {"conditions": [judged(obj, "Accepted", refused), judged(obj, "Programmed", refused)]}
    invalid = _none_valid(own)
    accepted = judged(obj, "Accepted", invalid)
    if invalid is None and any(item.unaccepted or item.conflict for item in own):
        accepted["reason"], accepted["message"] = "ListenersNotValid", "some listeners are not in force; see each."
    return {
        "conditions": [accepted, judged(obj, "Programmed", invalid or unready)],
        "listeners": [_listener(obj, item, unready, listeners) for item in own],
    }


def route_status(
    obj: Object, parents: Iterable[Parent], unresolved: Problem | None, unsupported: Problem | None
) -> Status:
    """The parents of a route that are ours."""
    resolved = judged(obj, "ResolvedRefs", unresolved)
    return {
        "parents": [
            {
                "parentRef": _plain(parent.ref),
                "controllerName": CONTROLLER,
                "conditions": [judged(obj, "Accepted", parent.problem or unsupported), resolved],
            }
            for parent in parents
        ]
    }


def _plain(ref: Any) -> Status:
    return dict(ref)


def policy_status(item: BackendTls, gateways: Iterable[tuple[str, str]]) -> Status:
    """A BackendTLSPolicy, for each Gateway from which its Service is called."""
    obj = item.policy
    conditions = [judged(obj, "Accepted", item.unaccepted), judged(obj, "ResolvedRefs", item.unresolved)]
    return {
        "ancestors": [
            {
                "ancestorRef": {"group": GROUP, "kind": "Gateway", "namespace": namespace, "name": name},
                "controllerName": CONTROLLER,
                "conditions": conditions,
            }
            for namespace, name in sorted(gateways)[:16]
        ]
    }


def addresses_of(service: Object | None) -> list[Status]:
    """Where a gateway's Service is reached: its load balancer's addresses, or its name inside the cluster."""
    if service is None:
        return []
    found: list[Status] = []
    for item in balancer_addresses(service):
        kind = "IPAddress" if item.get("ip") else "Hostname"
        found.append({"type": kind, "value": str(item.get("ip") or item.get("hostname"))})
    found += [{"type": "IPAddress", "value": value} for value in external_addresses(service)]
    if found or core.spec(service).get("type") == "LoadBalancer":
        return found
    name = f"{core.name(service)}.{core.namespace(service)}.svc.cluster.local"
    return [{"type": "Hostname", "value": name}]


REFUSED = "RefusedByProxy"
"""The reason in the conditions of an object that Envoy refuses, as it is now."""


def with_refusal(kind: str, obj: Object, wanted: Status, message: str) -> Status:
    """The status of an object that is held back, because Envoy refuses what it comes to. `wanted` is the status of what
    stands for it, empty if nothing does: then the answer goes to those it would have been for."""
    refused = [condition(obj, name, False, REFUSED, message) for name in ("Accepted", "Programmed")]
    if kind in (KUBERNETES_GATEWAY, "ListenerSet"):
        have = {**core.status(obj), **wanted}
        return {**have, "conditions": _replaced(wanted.get("conditions") or (), refused)}
    name, ref = ("ancestors", "ancestorRef") if kind == "BackendTLSPolicy" else ("parents", "parentRef")
    entries = wanted.get(name) or [one for one in core.status(obj).get(name) or () if _is_ours(one)]
    if not entries and name == "parents":
        entries = [{ref: dict(one), "controllerName": CONTROLLER} for one in core.spec(obj).get("parentRefs") or ()]
    return {name: [{**one, "conditions": _replaced(one.get("conditions") or (), refused[:1])} for one in entries]}


def _is_ours(entry: Status) -> bool:
    return bool(entry.get("controllerName") == CONTROLLER)


def _replaced(conditions: Iterable[Status], others: list[Status]) -> list[Status]:
    names = {one["type"] for one in others}
    return [*others, *(one for one in conditions if one["type"] not in names)]
