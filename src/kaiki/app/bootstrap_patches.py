"""Joins EnvoyFilters that patch bootstraps and the pods that are made: sidecars while they are injected, gateways as
their Deployments wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kaiki.inject.settings import BootstrapRequest, InjectionSettings
from kaiki.interpret.workloads import workload_instance
from kaiki.model.envoy_filter import EnvoyFilter
from kaiki.model.proxy import Proxy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import STARTED_WITH_ANNOTATION, ProxyKind
from kaiki.resources import core
from kaiki.translate.patches import bootstrap_editions, bootstrap_filters, with_patches

_BOOTSTRAP_OPTION = "--config-yaml"


def start_filters(pod: Mapping[str, Any], snapshot: MeshSnapshot) -> tuple[tuple[EnvoyFilter, ...], ProxyKind]:
    """The EnvoyFilters that patch the bootstrap of a pod's proxy, in the order they are applied; and its kind."""
    container = core.proxy_container(pod)
    kind = ProxyKind.GATEWAY if container is not None and core.is_router(container) else ProxyKind.SIDECAR
    return bootstrap_filters(snapshot.envoy_filters, _starting_proxy(pod, kind)), kind


def patched_injection(pod: Mapping[str, Any], snapshot: MeshSnapshot, settings: InjectionSettings) -> InjectionSettings:
    """The settings for a pod's sidecar with the patches of its bootstrap."""
    proxy = _starting_proxy(pod, ProxyKind.SIDECAR)
    filters, render = snapshot.envoy_filters, settings.render_bootstrap
    editions = bootstrap_editions(filters, proxy)
    if not editions:
        return settings

    def render_patched(request: BootstrapRequest) -> Mapping[str, Any]:
        return with_patches(render(request), filters, proxy)

    return replace(settings, render_bootstrap=render_patched, started_with=(*settings.started_with, *editions))


def patched_gateway(pod: Mapping[str, Any], snapshot: MeshSnapshot) -> dict[str, Any] | None:
    """A gateway's pod with the patches of its bootstrap; None for other pods, and where nothing is to be patched."""
    container = core.proxy_container(pod)
    if container is None or not core.is_router(container) or _BOOTSTRAP_OPTION not in container["args"]:
        return None
    proxy = _starting_proxy(pod, ProxyKind.GATEWAY)
    editions = bootstrap_editions(snapshot.envoy_filters, proxy)
    if not editions:
        return None
    arguments = list(container["args"])
    place = arguments.index(_BOOTSTRAP_OPTION) + 1
    document = with_patches(json.loads(arguments[place]), snapshot.envoy_filters, proxy)
    arguments[place] = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    containers = [
        {**item, "args": arguments} if item is container else item for item in pod["spec"].get("containers") or ()
    ]
    metadata = pod["metadata"]
    annotations = {**(metadata.get("annotations") or {}), STARTED_WITH_ANNOTATION: ",".join(editions)}
    return {
        **pod,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**pod["spec"], "containers": containers},
    }


def _starting_proxy(pod: Mapping[str, Any], kind: ProxyKind) -> Proxy:
    """The proxy of a pod that is being made, whose name may not be known yet."""
    metadata = {"name": "", **(pod.get("metadata") or {})}
    return Proxy.of(workload_instance({**pod, "metadata": metadata}), kind)
