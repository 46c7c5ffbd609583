"""Keeps the scraper's targets equal to the pods there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import CONFIG_MAPS, PODS, Object
from kaiki.telemetry.scrape.scraper import Scraper
from kaiki.telemetry.scrape.targets import APPLICATION_PORT, pod_targets

CONFIG_MAP = "prometheus"


def watch_pods(client: KubeClient, scraper: Scraper) -> Cache:
    """A cache of pods wired to the scraper; the caller runs it (`kaiki.kube.cache.running`)."""
    cache = Cache(client, PODS, trim=_trim)
    cache.subscribe(lambda event: _follow(event, scraper))
    return cache


def watch_configuration(client: KubeClient, namespace: str, take: Callable[[Mapping[str, str]], None]) -> Cache:
    """The ConfigMap `prometheus` of the mesh's namespace: its files, or none while it is not there."""
    cache = Cache(client, CONFIG_MAPS, namespace=namespace, field_selector=f"metadata.name={CONFIG_MAP}")

    def follow(event: CacheEvent) -> None:
        if event.object["metadata"]["name"] == CONFIG_MAP:
            take((event.new or {}).get("data") or {})

    cache.subscribe(follow)
    return cache


def _follow(event: CacheEvent, scraper: Scraper) -> None:
    old = pod_targets(event.old) if event.old is not None else []
    new = pod_targets(event.new) if event.new is not None else []
    kept = {target.key for target in new}
    for target in old:
        if target.key not in kept:
            scraper.remove_target(target.key)
    for target in new:
        scraper.set_target(target)


def _trim(pod: Object) -> None:
    """What discovery does not read would only cost memory."""
    metadata, status, spec = pod["metadata"], pod.get("status") or {}, pod.get("spec") or {}
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {
        name: value
        for name, value in annotations.items()
        if name.startswith("prometheus.io/") or name == APPLICATION_PORT
    }
    wanted = ("podIP", "phase", "initContainerStatuses", "containerStatuses")
    pod["status"] = {key: status[key] for key in wanted if key in status}
    pod["spec"] = {"containers": [{"ports": c.get("ports") or []} for c in spec.get("containers") or []]}
