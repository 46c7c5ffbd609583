"""Keeps the scraper's targets equal to the pods there are."""

from __future__ import annotations

from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import PODS, Object
from kaiki.telemetry.scrape.scraper import Scraper
from kaiki.telemetry.scrape.targets import pod_target


def watch_pods(client: KubeClient, scraper: Scraper) -> Cache:
    """A cache of pods wired to the scraper; the caller runs it (`kaiki.kube.cache.running`)."""
    cache = Cache(client, PODS, trim=_trim)
    cache.subscribe(lambda event: _follow(event, scraper))
    return cache


def _follow(event: CacheEvent, scraper: Scraper) -> None:
    old = pod_target(event.old) if event.old is not None else None
    new = pod_target(event.new) if event.new is not None else None
    if old is not None and (new is None or new.key != old.key):
        scraper.remove_target(old.key)
    if new is not None:
        scraper.set_target(new)


def _trim(pod: Object) -> None:
    """What discovery does not read would only cost memory."""
    metadata, status, spec = pod["metadata"], pod.get("status") or {}, pod.get("spec") or {}
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {name: value for name, value in annotations.items() if name.startswith("prometheus.io/")}
    wanted = ("podIP", "phase", "initContainerStatuses", "containerStatuses")
    pod["status"] = {key: status[key] for key in wanted if key in status}
    pod["spec"] = {"containers": [{"ports": c.get("ports") or []} for c in spec.get("containers") or []]}
