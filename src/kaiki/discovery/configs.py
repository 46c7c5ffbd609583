"""What every proxy should have under the newest snapshot: built when it is asked for, once per proxy and snapshot.

A proxy for which building fails keeps what it had: a defect that one pod brings out must not take the others' changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from kaiki.discovery.metrics import Metrics
from kaiki.discovery.quarantine import Quarantine, brief
from kaiki.discovery.virtual_hosts import EMPTY, Split, TableSplitter, table_name
from kaiki.discovery.watch import Rejection, Target
from kaiki.discovery.wire import Encoder
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.proxy import ROUTE_TYPE, VIRTUAL_HOST_TYPE, Capture, Proxy, ProxyConfig, Resource
from kaiki.model.snapshot import EMPTY_SNAPSHOT, MeshSnapshot
from kaiki.model.table import differences
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.translate.provenance import Provenance

logger = logging.getLogger(__name__)

Generate = Callable[[MeshSnapshot, Proxy], ProxyConfig]
Trace = Callable[[MeshSnapshot, Proxy], Provenance]
Targets = Mapping[str, Mapping[str, Resource]]


def _untraced(snapshot: MeshSnapshot, _: Proxy) -> Provenance:
    """Only what stands in the resources themselves."""
    return Provenance(snapshot, (), ())


@dataclass(frozen=True, slots=True)
class Generation:
    """One published snapshot: its number, and when (monotonic seconds) the change behind it was seen."""

    number: int
    snapshot: MeshSnapshot
    changed_at: float


class Configs:
    """The newest snapshot and what follows from it for each proxy."""

    def __init__(
        self,
        generate: Generate,
        metrics: Metrics,
        *,
        capture: Capture = Capture.MARK,
        trace: Trace = _untraced,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._generate = generate
        self._metrics = metrics
        self._capture = capture
        self._configs: dict[tuple[str, str], ProxyConfig] = {}
        self._trace = trace
        self._quarantine = quarantine or Quarantine()
        self.on_quarantine: Callable[[], None] = lambda: None
        self._built: dict[tuple[str, str], tuple[int, Proxy, Targets]] = {}
        self._splitter = TableSplitter()
        self._splits: dict[tuple[str, str], Split] = {}
        self.generation = Generation(0, EMPTY_SNAPSHOT, 0.0)
        self.encoder = Encoder()
        self._differences: dict[tuple[int, int], tuple[Target, Target, Collection[str]]] = {}

    def publish(self, snapshot: MeshSnapshot, changed_at: float) -> None:
        """Take over a snapshot."""
        self._differences.clear()
        self._splitter.forget()
        self.generation = Generation(self.generation.number + 1, snapshot, changed_at)
        self._quarantine.published(self.generation.number)
        self._metrics.count("pilot_push_triggers")
        self._metrics.observe("pilot_debounce_time", max(0.0, time.monotonic() - changed_at))

    def differences(self, one: Target, other: Target) -> Collection[str]:
        """The names at which two targets differ: found once for all proxies that go from one to the other."""
        known = self._differences.get((id(one), id(other)))
        if known is None:
            known = self._differences[id(one), id(other)] = one, other, differences(one, other)
        return known[2]

    def refuse(self, proxy: Proxy, rejection: Rejection) -> None:
        """A proxy refused a resource: hold back the object behind it, if it can be told, and go on without."""
        built, _, targets = self._built.get(proxy.key, (0, None, {}))
        item = targets.get(rejection.type_url, {}).get(rejection.name)
        if item is None or item.version != rejection.version:
            return
        reason = brief(rejection.reason)
        logger.warning("%s of %s/%s is refused: %s", item.name, *proxy.key, reason)
        traced, touched = self.trace(proxy), self.touched(proxy, item)
        origins = (*touched, *traced.behind(item), *traced.whole)
        if self._quarantine.refuse(item, origins, reason, built):
            self.on_quarantine()

    def trace(self, proxy: Proxy) -> Provenance:
        """Which objects are behind what a proxy has."""
        return self._trace(self.generation.snapshot, proxy)

    def refused(self) -> dict[ObjectRef, str]:
        """The objects that are held back, and why."""
        return self._quarantine.reasons()

    def touched(self, proxy: Proxy, item: Resource) -> tuple[ObjectRef, ...]:
        """Which EnvoyFilters changed one of the proxy's resources; of a virtual host, its table."""
        config = self._configs.get(proxy.key)
        if config is None:
            return ()
        if item.type_url == VIRTUAL_HOST_TYPE:
            return config.touched.get((ROUTE_TYPE, table_name(item.name)), ())
        return config.touched.get((item.type_url, item.name), ())

    def findings(self) -> tuple[Finding, ...]:
        """What proxies made known: objects that are held back, and patches that could not be applied anywhere."""
        return (*self._quarantine.findings(), *_patch_findings(self._configs.values()))

    def find_workload(self, namespace: str, name: str) -> WorkloadInstance | None:
        """The pod of this name, if the snapshot knows it."""
        return self.generation.snapshot.workloads.get((namespace, name))

    def proxy_of(self, workload: WorkloadInstance) -> Proxy:
        """The proxy of a pod."""
        kind = workload.proxy
        if kind is ProxyKind.NONE:
            # It has proved to be this pod's, so a proxy is there whatever the pod's specification shows.
            kind = ProxyKind.SIDECAR
        return Proxy.of(workload, kind, self._capture)

    def refresh(self, proxy: Proxy) -> Proxy:
        """The proxy as the newest snapshot has it; unchanged when its pod has gone."""
        workload = self.find_workload(*proxy.key)
        if workload is None or workload.identity != proxy.identity:
            return proxy
        return self.proxy_of(workload)

    def of(self, proxy: Proxy) -> Targets:
        """What the proxy should have now."""
        number, known, targets = self._built.get(proxy.key, (-1, None, {}))
        if number == self.generation.number and known == proxy:
            return targets
        started = time.perf_counter()
        try:
            config = self._generate(self.generation.snapshot, proxy)
            targets, self._configs[proxy.key] = self._as_sent(proxy, config), config
        except Exception:
            logger.exception("the configuration of %s/%s could not be built; it keeps what it has", *proxy.key)
            self._metrics.count("pilot_xds_push_errors")
        self._metrics.observe("pilot_xds_push_time", time.perf_counter() - started)
        self._built[proxy.key] = (self.generation.number, proxy, targets)
        if self._quarantine.look_again(targets, self.generation.number):
            self.on_quarantine()
        return targets

    def _as_sent(self, proxy: Proxy, config: ProxyConfig) -> Targets:
        """Route tables go without their virtual hosts, and these one by one."""
        before = self._splits.get(proxy.key, EMPTY)
        split = self._splits[proxy.key] = self._splitter.split(before, config.of(ROUTE_TYPE))
        return {**config.resources, ROUTE_TYPE: split.bases, VIRTUAL_HOST_TYPE: split.hosts}

    def forget(self, proxy: Proxy) -> None:
        """Drop what was built for a proxy that is no longer connected."""
        self._built.pop(proxy.key, None)
        self._configs.pop(proxy.key, None)
        self._splits.pop(proxy.key, None)


def _patch_findings(configs: Iterable[ProxyConfig]) -> Iterator[Finding]:
    """EnvoyFilters whose patches no proxy could take, or that fit nothing in any of the proxies they are for."""
    counts: dict[tuple[ObjectRef, int], int] = {}
    waiting: dict[tuple[ObjectRef, int], int] = {}
    errors: dict[tuple[ObjectRef, int], str] = {}
    for result in (result for config in configs for result in config.patches):
        key = result.source, result.index
        counts[key] = counts.get(key, 0) + result.matched
        waiting[key] = waiting.get(key, 0) + result.waits
        if result.error:
            errors[key] = result.error
    for (source, index), count in sorted(counts.items()):
        path, error = f"spec.configPatches[{index}]", errors.get((source, index), "")
        if error:
            message = f"the patch cannot be applied: {error.rstrip('.')}."
            hint = "The rest of the object is in force."
            yield Finding("KAI0703", Severity.ERROR, source, f"{path}.patch.value", message, hint)
        elif waits := waiting[source, index]:
            message = f"{waits} of {waits + count} proxies were started before this patch and run without it."
            hint = "Restart their pods, for example by kubectl rollout restart deployment."
            yield Finding("KAI0705", Severity.WARNING, source, f"{path}.applyTo", message, hint)
        elif not count:
            message = "the patch fits nothing in any of the proxies it is for, so it changes nothing."
            hint = "Compare its match with the names in the proxy's configuration."
            yield Finding("KAI0704", Severity.WARNING, source, f"{path}.match", message, hint)
