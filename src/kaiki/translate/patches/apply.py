"""Which patches are for a proxy, and their way through its resources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import re2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, extension_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2

from kaiki.model.envoy_filter import EnvoyFilter, EnvoyPatch, PatchMatch, PatchOperation, PatchResult, PatchTarget
from kaiki.model.finding import ObjectRef
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, EXTENSION_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, Resource
from kaiki.model.well_known import GATEWAY_NAME_LABEL, ROOT_NAMESPACE
from kaiki.model.workload import ProxyKind
from kaiki.translate.encode import by_name, resource
from kaiki.translate.patches.listeners import listener_fits, patch_listener
from kaiki.translate.patches.routes import patch_table
from kaiki.translate.patches.values import BadValue, merge, parse

COMPATIBLE_VERSION = "1.28.0"
"""The version of Istio whose generated names proxies follow; `proxyVersion` is compared with it."""
_OF_ROUTES = (PatchTarget.ROUTE_CONFIGURATION, PatchTarget.VIRTUAL_HOST, PatchTarget.HTTP_ROUTE)
Resources = dict[str, dict[str, Resource]]


class Patched(NamedTuple):
    """Resources after all patches; which objects changed a resource (by type and name); what became of each patch."""

    resources: Resources
    touched: Mapping[tuple[str, str], tuple[ObjectRef, ...]]
    results: tuple[PatchResult, ...]


class _Changed(NamedTuple):
    item: Resource | None
    results: tuple[PatchResult, ...]


def chosen_filters(filters: Iterable[EnvoyFilter], proxy: Proxy) -> tuple[EnvoyFilter, ...]:
    """The filters for a proxy, in the order they are applied."""
    labels = dict(proxy.labels)

    def is_for(item: EnvoyFilter) -> bool:
        if item.source.namespace not in (ROOT_NAMESPACE, proxy.namespace):
            return False
        if item.gateways:
            return item.source.namespace == proxy.namespace and labels.get(GATEWAY_NAME_LABEL) in item.gateways
        return set(item.selector) <= set(proxy.labels)

    return tuple(
        sorted(
            filter(is_for, filters),
            key=lambda item: (item.source.namespace != ROOT_NAMESPACE, item.priority, item.created, item.source),
        )
    )


def chosen_patches(filters: Iterable[EnvoyFilter], proxy: Proxy) -> tuple[EnvoyPatch, ...]:
    """The patches for a proxy, in the order they are applied."""
    return tuple(patch for item in chosen_filters(filters, proxy) for patch in item.patches if _is_for(patch, proxy))


def patched(resources: Resources, proxy: Proxy, filters: tuple[EnvoyFilter, ...], memo: Memo) -> Patched:
    """The proxy's resources with its patches. Those of its bootstrap are not among them."""
    patches = [one for one in chosen_patches(filters, proxy) if one.target is not PatchTarget.BOOTSTRAP]
    if not patches:
        return Patched(resources, {}, ())
    found: Resources = dict(resources)
    touched: dict[tuple[str, str], tuple[ObjectRef, ...]] = {}
    results: list[PatchResult] = [PatchResult(patch.source, patch.index) for patch in patches]
    kinds = (
        (CLUSTER_TYPE, (PatchTarget.CLUSTER,)),
        (LISTENER_TYPE, (*_listener_targets(), *_OF_ROUTES)),
        (ROUTE_TYPE, _OF_ROUTES),
        (EXTENSION_TYPE, (PatchTarget.EXTENSION_CONFIG,)),
    )
    is_gateway = proxy.kind is ProxyKind.GATEWAY
    found[EXTENSION_TYPE] = {}
    for type_url, targets in kinds:
        mine = tuple(patch for patch in patches if patch.target in targets)
        if not mine:
            continue
        made: list[Resource] = []
        for item in resources.get(type_url, {}).values():
            changed = memo.get(_change, item, mine, is_gateway)
            results += changed.results
            if sources := tuple(dict.fromkeys(result.source for result in changed.results if result.matched)):
                touched[type_url, item.name] = sources
            if changed.item is not None:
                made.append(changed.item)
        for patch in mine:
            added, result = memo.get(_added, patch)
            results += [result] if result else []
            if added is not None and added.type_url == type_url:
                made = [*(item for item in made if item.name != added.name), added]
                touched[type_url, added.name] = (patch.source,)
        found[type_url] = by_name(made)
    return Patched(found, touched, _summed(results))


def _listener_targets() -> tuple[PatchTarget, ...]:
    others = (*_OF_ROUTES, PatchTarget.CLUSTER, PatchTarget.EXTENSION_CONFIG, PatchTarget.BOOTSTRAP)
    return tuple(target for target in PatchTarget if target not in others)


def is_for_kind(patch: EnvoyPatch, kind: ProxyKind) -> bool:
    """Whether proxies of a kind are among those whose context a patch means."""
    context = patch.match.context
    return context == "ANY" or (context == "GATEWAY") == (kind is ProxyKind.GATEWAY)


def _is_for(patch: EnvoyPatch, proxy: Proxy) -> bool:
    """Whether the proxy is one of those a patch means."""
    match = patch.match
    if not is_for_kind(patch, proxy.kind):
        return False
    if match.proxy_version and re2.search(match.proxy_version, COMPATIBLE_VERSION) is None:
        return False
    known = {
        "CLUSTER_ID": proxy.metric_labels.cluster,
        "NAMESPACE": proxy.namespace,
        "NAME": proxy.name,
        "WORKLOAD_NAME": proxy.metric_labels.workload,
        "SERVICE_ACCOUNT": proxy.identity.service_account,
        "ISTIO_VERSION": COMPATIBLE_VERSION,
        **dict(proxy.labels),
    }
    return all(known.get(key) == value for key, value in match.metadata)


def _context_fits(context: str, inbound: bool, is_gateway: bool) -> bool:
    if context == "ANY":
        return True
    return context == ("GATEWAY" if is_gateway else "SIDECAR_INBOUND" if inbound else "SIDECAR_OUTBOUND")


def _change(item: Resource, patches: tuple[EnvoyPatch, ...], is_gateway: bool) -> _Changed:
    """A resource after those patches that fit it."""
    kinds = {
        CLUSTER_TYPE: cluster_pb2.Cluster,
        LISTENER_TYPE: listener_pb2.Listener,
        ROUTE_TYPE: route_pb2.RouteConfiguration,
    }
    message = kinds[item.type_url].FromString(item.body)
    results: list[PatchResult] = []
    for patch in patches:
        inbound = item.name.startswith("inbound") or item.name == "InboundPassthroughCluster"
        if isinstance(message, listener_pb2.Listener):
            inbound = message.traffic_direction == base_pb2.INBOUND
        if not _context_fits(patch.match.context, inbound, is_gateway):
            continue
        copy = type(message)()
        copy.CopyFrom(message)
        try:
            count = _apply(copy, patch)
        except BadValue as error:
            results.append(PatchResult(patch.source, patch.index, error=str(error)))
            continue
        if count:
            results.append(PatchResult(patch.source, patch.index, count))
            message = copy
        if count and _removes_whole(patch):
            return _Changed(None, tuple(results))
    is_same = not any(result.matched for result in results)
    return _Changed(item if is_same else resource(item.name, message), tuple(results))


def _removes_whole(patch: EnvoyPatch) -> bool:
    whole = (PatchTarget.CLUSTER, PatchTarget.LISTENER)
    return patch.operation is PatchOperation.REMOVE and patch.target in whole


def _apply(
    message: cluster_pb2.Cluster | listener_pb2.Listener | route_pb2.RouteConfiguration, patch: EnvoyPatch
) -> int:
    """How many places of a message a patch changed. What adds a whole resource is none of its business."""
    is_addition = patch.operation is PatchOperation.ADD and patch.target in (PatchTarget.CLUSTER, PatchTarget.LISTENER)
    if is_addition:
        return 0
    if isinstance(message, cluster_pb2.Cluster):
        return _patch_cluster(message, patch)
    if isinstance(message, route_pb2.RouteConfiguration):
        return patch_table(message, patch)
    if patch.target not in _OF_ROUTES and not listener_fits(message, patch.match):
        return 0
    if _removes_whole(patch):
        return 1
    return patch_listener(message, patch)


def _patch_cluster(message: cluster_pb2.Cluster, patch: EnvoyPatch) -> int:
    if not cluster_fits(message.name, patch.match):
        return 0
    if patch.operation is PatchOperation.REPLACE:
        message.CopyFrom(parse(patch.value, cluster_pb2.Cluster))
    elif patch.operation is PatchOperation.MERGE:
        merge(message, parse(patch.value, cluster_pb2.Cluster))
    return 1


def cluster_fits(name: str, match: PatchMatch) -> bool:
    """Whether a cluster is meant, by its name or by what Istio's names (`outbound|80|v1|host`) say."""
    if match.cluster:
        return match.cluster == name
    if not (match.port or match.service or match.subset):
        return True
    parts = name.split("|")
    if len(parts) != 4:
        return False
    _, port, subset, host = parts
    return (
        (not match.port or port == str(match.port))
        and (not match.service or host == match.service)
        and (not match.subset or subset == match.subset)
    )


def _added(patch: EnvoyPatch) -> tuple[Resource | None, PatchResult | None]:
    """The whole resource a patch adds, if it does."""
    kinds: dict[PatchTarget, type[Any]] = {
        PatchTarget.CLUSTER: cluster_pb2.Cluster,
        PatchTarget.LISTENER: listener_pb2.Listener,
        PatchTarget.EXTENSION_CONFIG: extension_pb2.TypedExtensionConfig,
    }
    if patch.operation is not PatchOperation.ADD or patch.target not in kinds:
        return None, None
    try:
        message = parse(patch.value, kinds[patch.target])
    except BadValue as error:
        return None, PatchResult(patch.source, patch.index, error=str(error))
    if not message.name:
        return None, PatchResult(patch.source, patch.index, error="what is added needs a name")
    return resource(message.name, message), PatchResult(patch.source, patch.index, 1)


def _summed(results: Iterable[PatchResult]) -> tuple[PatchResult, ...]:
    counts: dict[tuple[ObjectRef, int], int] = defaultdict(int)
    errors: dict[tuple[ObjectRef, int], str] = {}
    for result in results:
        key = result.source, result.index
        counts[key] += result.matched
        if result.error:
            errors.setdefault(key, result.error)
    return tuple(PatchResult(*key, count, errors.get(key, "")) for key, count in sorted(counts.items()))
