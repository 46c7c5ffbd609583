"""How proxies themselves run, as several objects say it: what is not said is left to the next in line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kaiki.model.finding import ObjectRef
from kaiki.model.well_known import ROOT_NAMESPACE

REDIRECTION = {
    "includeIPRanges": "traffic.sidecar.istio.io/includeOutboundIPRanges",
    "excludeIPRanges": "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    "includeInboundPorts": "traffic.sidecar.istio.io/includeInboundPorts",
    "excludeInboundPorts": "traffic.sidecar.istio.io/excludeInboundPorts",
    "includeOutboundPorts": "traffic.sidecar.istio.io/includeOutboundPorts",
    "excludeOutboundPorts": "traffic.sidecar.istio.io/excludeOutboundPorts",
}
"""The installation's values of what is redirected to sidecars (Istio's `global.proxy`), and the annotations of pods
that say otherwise."""


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """One level of settings. `concurrency` counts worker threads (0: one per core); None and empty are not said.

    `statistics` are what the proxy keeps beside what the mesh needs: pairs of `prefix`, `suffix` or `regex` and a text.
    `redirection` are the annotations (`REDIRECTION`) of pods that have none.
    """

    concurrency: int | None = None
    environment: tuple[tuple[str, str], ...] = ()
    image_type: str = ""
    drain_seconds: float | None = None
    statistics: tuple[tuple[str, str], ...] = ()
    redirection: tuple[tuple[str, str], ...] = ()

    def over(self, other: ProxySettings) -> ProxySettings:
        """These settings, and where they say nothing the other's. Environments add up."""
        return ProxySettings(
            concurrency=other.concurrency if self.concurrency is None else self.concurrency,
            environment=tuple(sorted({**dict(other.environment), **dict(self.environment)}.items())),
            image_type=self.image_type or other.image_type,
            drain_seconds=other.drain_seconds if self.drain_seconds is None else self.drain_seconds,
            statistics=self.statistics or other.statistics,
            redirection=self.redirection or other.redirection,
        )


NO_SETTINGS = ProxySettings()


@dataclass(frozen=True, slots=True)
class ProxyConfigRule:
    """One ProxyConfig: settings for all pods of its namespace (the root namespace: of the mesh), or some by label."""

    source: ObjectRef
    settings: ProxySettings
    selector: tuple[tuple[str, str], ...] = ()
    created: str = ""
    generation: int = 0

    @property
    def edition(self) -> str:
        """The object as it is now: `namespace/name@generation~created`."""
        return f"{self.source.namespace}/{self.source.name}@{self.generation}~{self.created}"


def chosen_rules(
    rules: Iterable[ProxyConfigRule], namespace: str, labels: Mapping[str, str]
) -> Iterator[ProxyConfigRule]:
    """The rules for a pod, the nearest first: by label, of its namespace, of the mesh; of each only the oldest."""
    rules, pairs = tuple(rules), set(labels.items())
    own = [rule for rule in rules if rule.source.namespace == namespace]
    by_label = (rule for rule in own if rule.selector and set(rule.selector) <= pairs)
    of_namespace = (rule for rule in own if not rule.selector)
    of_mesh = (rule for rule in rules if rule.source.namespace == ROOT_NAMESPACE and not rule.selector)
    levels = (next(level, None) for level in (by_label, of_namespace, of_mesh))
    yield from dict.fromkeys(rule for rule in levels if rule is not None)
