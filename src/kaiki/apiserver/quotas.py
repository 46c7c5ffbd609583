"""ResourceQuotas: what a namespace may hold at most, counted when something is to be added, and shown in their status.

Counted are objects (`pods`, `services`, `count/deployments.apps`…) and the requests and limits of pods that have not
ended. A quota with scopes is kept, and not held against anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import ApiError, forbidden
from kaiki.apiserver.ownership import UPDATE, Manager, track_update
from kaiki.apiserver.quantities import parse_quantity
from kaiki.apiserver.requests import timestamp
from kaiki.apiserver.schemas import definition
from kaiki.apiserver.store import Event, RevisionMismatch, Store

QUOTAS = "/resourcequotas"
_COUNTED = (
    "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services",
)  # fmt: skip
_COMPUTE = {
    "cpu": ("requests", "cpu"), "requests.cpu": ("requests", "cpu"), "limits.cpu": ("limits", "cpu"),
    "memory": ("requests", "memory"), "requests.memory": ("requests", "memory"), "limits.memory": ("limits", "memory"),
}  # fmt: skip
Object = dict[str, Any]


def check_quotas(store: Store, kind: ResourceType, value: Object, namespace: str) -> None:
    """ApiError 403 when a quota of the namespace leaves no room for a new object."""
    for record in store.list(QUOTAS, namespace):
        spec = record.load().get("spec") or {}
        hard = {} if spec.get("scopes") or spec.get("scopeSelector") else spec.get("hard") or {}
        asked = {name: amount for name in hard if (amount := _amount(name, kind, value)) is not None}
        for name, amount in asked.items():
            if name in _COMPUTE and not amount:
                raise _missing(kind, value, record.name, name)
        used = {name: _used(store, namespace, name) for name in asked}
        over = [name for name, amount in asked.items() if used[name] + amount > parse_quantity(hard[name])]
        if over:
            raise _exceeded(kind, value, record.name, {name: (asked[name], used[name], hard[name]) for name in over})


def _missing(kind: ResourceType, value: Object, quota: str, name: str) -> ApiError:
    containers = value["spec"].get("containers") or ()
    field, resource = _COMPUTE[name]
    without = [each["name"] for each in containers if resource not in ((each.get("resources") or {}).get(field) or {})]
    why = f"failed quota: {quota}: must specify {name} for: {','.join(without)}"
    return forbidden(kind, value["metadata"].get("name") or "", why)


def _exceeded(kind: ResourceType, value: Object, quota: str, over: dict[str, tuple[Decimal, Decimal, str]]) -> ApiError:
    requested = ",".join(f"{name}={_text(asked)}" for name, (asked, _, _) in over.items())
    used = ",".join(f"{name}={_text(held)}" for name, (_, held, _) in over.items())
    limited = ",".join(f"{name}={most}" for name, (_, _, most) in over.items())
    why = f"exceeded quota: {quota}, requested: {requested}, used: {used}, limited: {limited}"
    return forbidden(kind, value["metadata"].get("name") or "", why)


def _amount(name: str, kind: ResourceType, value: Object) -> Decimal | None:
    """What an object adds to a quota's line; None when the line is not about it."""
    if name.startswith("count/"):
        return Decimal(1) if name == f"count/{kind.qualified_name}" else None
    if kind.group:
        return None
    if name in _COUNTED:
        return Decimal(1) if name == kind.plural else None
    if name.startswith("services.") and kind.plural == "services":
        return _service_amount(name, value)
    if name in _COMPUTE and kind.plural == "pods":
        return _pod_amount(value, *_COMPUTE[name])
    return None


def _service_amount(name: str, value: Object) -> Decimal | None:
    spec = value.get("spec") or {}
    if name == "services.loadbalancers":
        return Decimal(spec.get("type") == "LoadBalancer") or None
    if name == "services.nodeports":
        return Decimal(len(spec.get("ports") or ()) if spec.get("type") in ("NodePort", "LoadBalancer") else 0) or None
    return None


def _pod_amount(pod: Object, field: str, resource: str) -> Decimal:
    amounts = [((each.get("resources") or {}).get(field) or {}).get(resource) for each in pod["spec"]["containers"]]
    if not all(amounts):
        return Decimal(0)
    return sum((parse_quantity(amount) for amount in amounts), Decimal(0))


def _used(store: Store, namespace: str, name: str) -> Decimal:
    """What the namespace holds already of a quota's line."""
    if name.startswith("count/"):
        plural, _, group = name.removeprefix("count/").partition(".")
        return Decimal(sum(1 for _ in store.list(f"{group}/{plural}", namespace)))
    if name in _COMPUTE:
        return sum((_pod_amount(pod, *_COMPUTE[name]) for pod in _living_pods(store, namespace)), Decimal(0))
    if name == "pods":
        return Decimal(sum(1 for _ in _living_pods(store, namespace)))
    if name.startswith("services."):
        services = (record.load() for record in store.list("/services", namespace))
        return sum((_service_amount(name, each) or Decimal(0) for each in services), Decimal(0))
    return Decimal(sum(1 for _ in store.list(f"/{name}", namespace)))


def _living_pods(store: Store, namespace: str) -> Iterator[Object]:
    for record in store.list("/pods", namespace):
        pod = record.load()
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            yield pod


def _text(amount: Decimal) -> str:
    """An amount as a quantity: whole numbers plain, parts of one in thousandths."""
    return str(int(amount)) if amount == int(amount) else f"{int(amount * 1000)}m"


def keep_quota_status(store: Store) -> None:
    """Write what is used into each quota's status, soon after something in its namespace has changed."""
    loop = asyncio.get_running_loop()
    waiting: set[str] = set()

    def write() -> None:
        for namespace in list(waiting):
            waiting.discard(namespace)
            _write_status(store, namespace)

    def observe(collection: str, event: Event) -> None:
        namespace, quotas = event.record.namespace, store.collection(QUOTAS).records
        if namespace and namespace not in waiting and any(key[0] == namespace for key in quotas):
            waiting.add(namespace)
            loop.call_soon(write)

    store.listeners.append(observe)


def _write_status(store: Store, namespace: str) -> None:
    for record in list(store.list(QUOTAS, namespace)):
        value = record.load()
        hard = (value.get("spec") or {}).get("hard") or {}
        status = {"hard": hard, "used": {name: _text(_used(store, namespace, name)) for name in hard}}
        if value.get("status") != status:
            value = _with_owner(value, status)
            try:
                store.put(QUOTAS, namespace, record.name, value, record.revision)
            except RevisionMismatch:
                continue


def _with_owner(value: Object, status: Object) -> Object:
    """The quota with its new status, which is Kubernetes's controllers' own."""
    new = {**value, "metadata": dict(value["metadata"]), "status": status}
    schema = definition("io.k8s.api.core.v1.ResourceQuota")
    track_update(value, new, schema, Manager("kube-controller-manager", UPDATE, "v1", timestamp(), "status"))
    return new
