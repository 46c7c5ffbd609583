"""EnvoyFilter specs → patches of the model, and what can be said of them without a proxy."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model import envoy_filter as model
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.resources.istio import envoy_filter as api

_GATEWAY_API = "gateway.networking.k8s.io"
_NEED_VALUE = ("MERGE", "ADD", "REPLACE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST")
_WHOLE = ("LISTENER", "ROUTE_CONFIGURATION", "CLUSTER", "VIRTUAL_HOST")


def envoy_filter(source: ObjectRef, spec: api.EnvoyFilterSpec, created: str) -> model.EnvoyFilter:
    """Translate one spec; patches that cannot be in force are left out (and found)."""
    selector = spec.workload_selector.labels if spec.workload_selector else {}
    patches = (_patch(source, index, item) for index, item in enumerate(spec.config_patches))
    return model.EnvoyFilter(
        source=source,
        patches=tuple(patch for patch in patches if patch is not None),
        selector=tuple(sorted(selector.items())),
        # A target that cannot be patched must not leave the patches for everybody.
        gateways=tuple(item.name if _target_problem(source, item) is None else "" for item in spec.target_refs),
        priority=spec.priority,
        created=created,
    )


def _patch(source: ObjectRef, index: int, item: api.ConfigPatch) -> model.EnvoyPatch | None:
    if _problem(item) is not None or item.apply_to is None or item.patch is None:
        return None
    return model.EnvoyPatch(
        source=source,
        index=index,
        target=model.PatchTarget(item.apply_to),
        operation=model.PatchOperation(item.patch.operation),
        match=_match(item.match or api.ObjectMatch()),
        value=item.patch.value,
        filter_class=model.FilterClass(item.patch.filter_class),
    )


def _match(item: api.ObjectMatch) -> model.PatchMatch:
    proxy = item.proxy or api.ProxyMatch()
    listener = item.listener or api.ListenerMatch()
    chain = listener.filter_chain or api.FilterChainMatch()
    network = chain.filter or api.FilterMatch()
    table = item.route_configuration or api.RouteConfigurationMatch()
    host = table.vhost or api.VirtualHostMatch()
    route = host.route or api.RouteMatch()
    cluster = item.cluster or api.ClusterMatch()
    return model.PatchMatch(
        context=item.context,
        proxy_version=proxy.proxy_version,
        metadata=tuple(sorted(proxy.metadata.items())),
        listener=listener.name,
        port=listener.port_number or table.port_number or cluster.port_number,
        chain=chain.name,
        server_name=chain.sni,
        transport_protocol=chain.transport_protocol,
        application_protocols=tuple(filter(None, chain.application_protocols.split(","))),
        destination_port=chain.destination_port,
        filter=network.name,
        sub_filter=network.sub_filter.name if network.sub_filter else "",
        listener_filter=listener.listener_filter,
        table=table.name,
        gateway=table.gateway,
        port_name=table.port_name,
        virtual_host=host.name,
        domain=host.domain_name,
        route=route.name,
        route_action=route.action,
        cluster=cluster.name,
        service=cluster.service,
        subset=cluster.subset,
    )


def envoy_filter_findings(source: ObjectRef, spec: api.EnvoyFilterSpec) -> Iterator[Finding]:
    """What is wrong whatever the mesh is like."""
    for index, item in enumerate(spec.config_patches):
        problem = _problem(item)
        if problem is not None:
            field, message = problem
            path = f"spec.configPatches[{index}].{field}"
            yield Finding("KAI0701", Severity.WARNING, source, path, message, "This patch is not in force.")
    for index, target in enumerate(spec.target_refs):
        if (problem := _target_problem(source, target)) is not None:
            path = f"spec.targetRefs[{index}].{problem[0]}"
            yield Finding("KAI0702", Severity.WARNING, source, path, problem[1], "Use a workloadSelector.")


def _target_problem(source: ObjectRef, target: api.TargetReference) -> tuple[str, str] | None:
    """(field, why) a target has no proxy to patch, or None."""
    if target.kind != "Gateway":
        return "kind", f"a {target.kind} has no proxy of its own; only Gateways of the Gateway API have."
    if target.group and target.group != _GATEWAY_API:
        return "group", f"Gateways of {target.group} are not known; those of {_GATEWAY_API} are."
    if target.namespace and target.namespace != source.namespace:
        return "namespace", f"only Gateways of namespace {source.namespace} can be targets."
    return None


def _problem(item: api.ConfigPatch) -> tuple[str, str] | None:
    """(field, why) a patch cannot be in force, or None."""
    if item.apply_to is None:
        return "applyTo", "it does not say what is to be changed."
    if item.match is not None and item.match.context == "WAYPOINT":
        return "match.context", "there are no waypoints."
    if item.match is not None and item.match.listener and item.match.listener.port_name:
        return "match.listener.portName", "unsupported: ports of listeners are known by number, say portNumber."
    return _patch_problem(item)


def _patch_problem(item: api.ConfigPatch) -> tuple[str, str] | None:
    if item.patch is None or item.patch.operation == "INVALID":
        return "patch.operation", "it does not say what is to be done."
    if item.patch.operation in _NEED_VALUE and not item.patch.value:
        return "patch.value", f"{item.patch.operation} needs a value."
    if item.patch.filter_class != "UNSPECIFIED" and item.patch.operation != "ADD":
        return "patch.filterClass", "a class says where a filter is added: say ADD, or leave the class out."
    if item.apply_to == "BOOTSTRAP" and item.patch.operation != "MERGE":
        return "patch.operation", "a bootstrap is one message: say MERGE."
    if item.apply_to == "EXTENSION_CONFIG" and item.patch.operation != "ADD":
        return "patch.operation", "EXTENSION_CONFIG can only be added."
    if item.apply_to in _WHOLE and item.patch.operation.startswith("INSERT"):
        return "patch.operation", f"{item.apply_to} has no order: say ADD."
    if item.patch.operation == "REPLACE" and item.apply_to not in (
        "HTTP_FILTER",
        "NETWORK_FILTER",
        "LISTENER_FILTER",
        "VIRTUAL_HOST",
        "CLUSTER",
    ):
        return "patch.operation", f"{item.apply_to} cannot be replaced: REMOVE it and ADD another."
    return None
