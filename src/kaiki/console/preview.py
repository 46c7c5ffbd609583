"""What a change would do before it is made: the mesh is interpreted and translated with and without it.

The console's own copy of the API's objects goes through the same pure code as the control plane's; the differences
are told per proxy and per resource. Nothing is written, and no proxy hears of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kaiki.interpret.gateway_api.objects import KUBERNETES_GATEWAY
from kaiki.interpret.interpretation import KINDS, interpret
from kaiki.interpret.mesh_config import MESH_CONFIG
from kaiki.kube import resource
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Forbidden, NotFound
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, ProxyConfig, Resource
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind
from kaiki.translate.generate import generate

Object = dict[str, Any]
Inputs = dict[tuple[str, str, str], Mapping[str, Any]]

MOST_NAMES = 200
_TYPES = {LISTENER_TYPE: "listener", ROUTE_TYPE: "route", CLUSTER_TYPE: "cluster", ENDPOINT_TYPE: "endpoints"}
_GATEWAY_API = "gateway.networking.k8s.io"
_CORE_GROUPS = ("", "discovery.k8s.io", "networking.k8s.io")
_CORE = {known.kind: known for known in resource.KNOWN_TYPES if known.group in _CORE_GROUPS}
_MESH = {known.kind: known for known in resource.KNOWN_TYPES if known.group.endswith("istio.io")}
_OTHER = {known.kind: known for known in resource.KNOWN_TYPES if known.group == _GATEWAY_API}
_OTHER[KUBERNETES_GATEWAY] = resource.KUBERNETES_GATEWAYS


class ChangedResource(msgspec.Struct, frozen=True, rename="camel"):
    """One listener, route (`hosts` are the virtual hosts that differ), cluster or endpoint set, and how many proxies
    have it. `change` is added, changed or removed."""

    type: str
    name: str
    change: str
    proxies: int
    hosts: tuple[str, ...] = ()


class AffectedWorkload(msgspec.Struct, frozen=True, rename="camel"):
    """A workload some of whose proxies would be told something new."""

    namespace: str
    name: str
    proxies: int


class Effect(msgspec.Struct, frozen=True, rename="camel"):
    """The difference a change makes. At most 200 resources are named; `truncated` tells that there are more."""

    proxies: int
    all_proxies: int
    workloads: tuple[AffectedWorkload, ...] = ()
    resources: tuple[ChangedResource, ...] = ()
    truncated: bool = False


async def read_inputs(client: KubeClient) -> Inputs:
    """Everything interpretation reads, listed now. Kinds not installed, or not to be read, have no objects."""
    inputs: Inputs = {}
    for kind in KINDS:
        known = _MESH.get(kind) or _CORE.get(kind) or _OTHER.get(kind)
        if known is None:
            continue
        try:
            if kind == MESH_CONFIG[0]:
                found = await client.find(known, MESH_CONFIG[2], MESH_CONFIG[1])
                objects = [found] if found is not None else []
            else:
                objects = await client.list(known)
        except (NotFound, Forbidden):
            continue
        for obj in objects:
            inputs[_key(obj)] = obj
    return inputs


def _key(obj: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    kind = str(obj["kind"])
    if kind == "Gateway" and str(obj.get("apiVersion")).startswith(_GATEWAY_API):
        kind = KUBERNETES_GATEWAY
    return kind, str(metadata.get("namespace") or ""), str(metadata["name"])


def tell_effect(inputs: Inputs, obj: Object, *, deleted: bool = False) -> Effect:
    """The effect of storing (or deleting) one object."""
    memo = Memo()
    before = interpret(inputs)
    changed = dict(inputs)
    if deleted:
        changed.pop(_key(obj), None)
    else:
        changed[_key(obj)] = obj
    after = interpret(changed, before)
    return _compare(before.snapshot, after.snapshot, memo)


def _compare(before: MeshSnapshot, after: MeshSnapshot, memo: Memo) -> Effect:
    proxies = [Proxy.of(pod, pod.proxy) for pod in before.workloads.values() if pod.proxy is not ProxyKind.NONE]
    # One snapshot after the other: the memo keeps what belongs to one of them.
    first = [generate(before, proxy, memo) for proxy in proxies]
    workloads: dict[tuple[str, str], int] = defaultdict(int)
    resources: dict[tuple[str, str, str], int] = defaultdict(int)
    hosts: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for proxy, had in zip(proxies, first, strict=True):
        differences = list(_differences(had, generate(after, proxy, memo)))
        if differences:
            labels = proxy.metric_labels
            workloads[proxy.namespace, labels.workload] += 1
        for key, old, new in differences:
            resources[key] += 1
            if key[0] == "route" and key not in hosts:
                hosts[key] = changed_hosts(old, new)
    rows = [ChangedResource(*key, count, hosts.get(key, ())) for key, count in sorted(resources.items())]
    affected = [AffectedWorkload(*key, count) for key, count in sorted(workloads.items())]
    return Effect(
        sum(workloads.values()), len(proxies), tuple(affected), tuple(rows[:MOST_NAMES]), len(rows) > MOST_NAMES
    )


Difference = tuple[tuple[str, str, str], Resource | None, Resource | None]


def _differences(before: ProxyConfig, after: ProxyConfig) -> Iterable[Difference]:
    for url, word in _TYPES.items():
        old, new = before.of(url), after.of(url)
        for name in old.keys() | new.keys():
            had, has = old.get(name), new.get(name)
            if had is None or has is None or had.version != has.version:
                change = "added" if had is None else "removed" if has is None else "changed"
                yield (word, name, change), had, has


def changed_hosts(before: Resource | None, after: Resource | None) -> tuple[str, ...]:
    """The virtual hosts that differ between two versions of one route table."""
    old, new = _virtual_hosts(before), _virtual_hosts(after)
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))[:MOST_NAMES]


def _virtual_hosts(table: Resource | None) -> dict[str, bytes]:
    if table is None:
        return {}
    from envoy.config.route.v3 import route_pb2

    parsed = route_pb2.RouteConfiguration.FromString(table.body)
    return {host.name: host.SerializeToString(deterministic=True) for host in parsed.virtual_hosts}
