"""ProxyConfig: how proxies themselves run, decided when they are injected (Istio, "ProxyConfig" reference)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, Duration, WorkloadSelector

Threads = Annotated[int, Meta(ge=0, le=1024)]


class ProxyImage(ApiType, frozen=True):
    """Which build of the proxy's image: `default`, `distroless` or `debug`."""

    image_type: str = ""


class ProxyConfigSpec(ApiType, frozen=True):
    """How the proxies of some pods run: worker threads (0: one per core), environment, image."""

    selector: WorkloadSelector | None = None
    concurrency: Threads | None = None
    environment_variables: dict[str, str] = {}
    image: ProxyImage | None = None


class StatsMatcher(ApiType, frozen=True):
    """Which further statistics the proxy keeps: by the beginning of their names, their end, or an expression (RE2)."""

    inclusion_prefixes: tuple[str, ...] = ()
    inclusion_suffixes: tuple[str, ...] = ()
    inclusion_regexps: tuple[str, ...] = ()


class ProxyDefaults(ApiType, frozen=True):
    """The same in the annotation `proxy.istio.io/config` and in the mesh config's `defaultConfig`."""

    concurrency: Threads | None = None
    proxy_metadata: dict[str, str] = {}
    image: ProxyImage | None = None
    drain_duration: Duration | None = None
    proxy_stats_matcher: StatsMatcher | None = None
