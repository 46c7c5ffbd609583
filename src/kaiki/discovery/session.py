"""One stream bound to one proxy: its configuration, its secrets, its place in time, and what is told about it.

Between bytes and the state machine; no task and no socket, so that a test can drive it by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kaiki.discovery.configs import Configs, Targets
from kaiki.discovery.metrics import Metrics
from kaiki.discovery.secrets import GatewaySecrets, ProxySecrets, SecretIssuer
from kaiki.discovery.stream import Moment, Stream
from kaiki.discovery.watch import Rejection
from kaiki.discovery.wire import DiscoveryRequest, DiscoveryResponse
from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import (
    CLUSTER_TYPE,
    ENDPOINT_TYPE,
    EXTENSION_TYPE,
    LISTENER_TYPE,
    ROUTE_TYPE,
    SECRET_TYPE,
    VIRTUAL_HOST_TYPE,
    Proxy,
)
from kaiki.model.workload import ProxyKind

SETTLE_SECONDS = 1.0
"""How long a proxy must have been silent before anything is removed from it."""

WARMING_PATIENCE_SECONDS = 5.0
"""How long routes wait for new clusters to become warm."""

_TYPE_NAMES = {
    CLUSTER_TYPE: "cds",
    ENDPOINT_TYPE: "eds",
    LISTENER_TYPE: "lds",
    ROUTE_TYPE: "rds",
    VIRTUAL_HOST_TYPE: "vhds",
    SECRET_TYPE: "sds",
    EXTENSION_TYPE: "ecds",
}
_SYNC_NAMES = {
    CLUSTER_TYPE: "cluster",
    ENDPOINT_TYPE: "endpoint",
    LISTENER_TYPE: "listener",
    ROUTE_TYPE: "route",
    EXTENSION_TYPE: "extension_config",
}
_TRACED_TYPES = frozenset((*_SYNC_NAMES, VIRTUAL_HOST_TYPE))


def name_of_type(type_url: str) -> str:
    """`cds` for clusters and so on; other types by their last word."""
    return _TYPE_NAMES.get(type_url, type_url.rpartition(".")[2])


@dataclass(slots=True)
class Session:
    """A connected proxy. `clock` gives monotonic seconds, `now` those since 1970."""

    proxy: Proxy
    configs: Configs
    issuer: SecretIssuer
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    stream: Stream = field(init=False)
    gateway_secrets: GatewaySecrets | None = None
    last_rejection: Rejection | None = None
    last_rejected: float = 0.0
    proxy_version: str = ""
    _secrets: ProxySecrets = field(init=False)
    _generation: int = 0
    _converged: int = 0
    _told: bool = False
    _targets: Targets = field(default_factory=dict)
    _heard_at: float = 0.0
    _waiting_since: float | None = None
    _sent: dict[str, str] = field(default_factory=dict)
    _acknowledged: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stream = Stream(self.configs.differences)
        self._secrets = ProxySecrets(self.issuer, self.gateway_secrets)
        self._heard_at = self.clock()

    def receive(self, request: DiscoveryRequest) -> None:
        """Take in one request of the proxy."""
        self._heard_at = self.clock()
        self.proxy_version = request.proxy_version or self.proxy_version
        received = self.stream.receive(request)
        kind = name_of_type(request.type_url)
        if received.rejected:
            self.metrics.count("pilot_total_xds_rejects", type=kind)
        if received.rejection is not None:
            self.last_rejection, self.last_rejected = received.rejection, self.now()
            self.configs.refuse(self.proxy, received.rejection)
        if received.acknowledged is not None:
            self._acknowledged[request.type_url] = self._sent.get(request.type_url, "")
        self._waiting_since = self._heard_at if self.stream.is_waiting else None

    def responses(self) -> Iterator[bytes]:
        """Everything that can be said now, message by message; the state goes on as the caller takes them."""
        while (response := self.stream.next(self._refresh(), self._moment())) is not None:
            if self._waiting_since is None:
                self._waiting_since = self.clock()
            yield self._encode(response)
        self._note_convergence()

    def _refresh(self) -> Targets:
        """The newest targets. A slow proxy thereby skips what was published while it was being written to."""
        generation = self.configs.generation
        if generation.number != self._generation:
            if self._generation:
                self.metrics.observe("pilot_proxy_queue_time", max(0.0, self.clock() - generation.changed_at))
            self._generation = generation.number
            self.proxy = self.configs.refresh(self.proxy)
        built = self.configs.of(self.proxy)
        secrets = self._secrets.table(self.proxy, self.stream)
        if self._secrets.issued:
            self.metrics.count("citadel_server_csr_count", self._secrets.issued)
            self.metrics.count("citadel_server_success_cert_issuance_count", self._secrets.issued)
            self._secrets.issued = 0
        self._targets = {**built, SECRET_TYPE: secrets}
        return self._targets

    def _moment(self) -> Moment:
        now = self.clock()
        waiting = 0.0 if self._waiting_since is None else now - self._waiting_since
        return Moment(settled=now - self._heard_at >= SETTLE_SECONDS, patient=waiting < WARMING_PATIENCE_SECONDS)

    def _encode(self, response: DiscoveryResponse) -> bytes:
        kind, version = name_of_type(response.type_url), str(self._generation)
        self._sent[response.type_url], self._told = version, True
        data = self.configs.encoder.encode(response, version)
        self.metrics.count("pilot_xds_pushes", type=kind)
        self.metrics.observe("pilot_xds_config_size_bytes", len(data), type=kind)
        return data

    def _note_convergence(self) -> None:
        """A change has converged when the proxy has acknowledged everything that followed from it."""
        if self.stream.is_waiting or self._converged == self._generation:
            return
        if self._told and self._converged:
            seconds = self.clock() - self.configs.generation.changed_at
            self.metrics.observe("pilot_proxy_convergence_time", max(seconds, 0.0))
        self._converged, self._told = self._generation, False

    def seconds_until_due(self) -> float | None:
        """When to look again although nothing has happened; None for never."""
        now, due = self.clock(), []
        if now - self._heard_at < SETTLE_SECONDS:
            due.append(self._heard_at + SETTLE_SECONDS - now)
        if self._waiting_since is not None and now - self._waiting_since < WARMING_PATIENCE_SECONDS:
            due.append(self._waiting_since + WARMING_PATIENCE_SECONDS - now)
        if (rotation := self._secrets.seconds_until_rotation()) is not None:
            due.append(rotation)
        return max(min(due), 0.01) if due else None

    @property
    def targets(self) -> Targets:
        """What the proxy is to have, as it was last looked at."""
        return self._targets

    @property
    def issued_chain(self) -> bytes:
        """The certificate chain (PEM) this control plane issued last to the proxy; empty if it has issued none."""
        return self._secrets.chain_pem

    def distribution(self) -> Iterator[tuple[ObjectRef, bool]]:
        """The objects this proxy's configuration comes from, and whether what they make of it is acknowledged."""
        traced = self.configs.trace(self.proxy)
        has_all = is_newest = self._generation == self.configs.generation.number
        for type_url, resources in self._targets.items():
            for name, item in resources.items() if type_url in _TRACED_TYPES else ():
                if type_url == EXTENSION_TYPE and name not in self.stream.wants(type_url):
                    continue  # No filter asks for it.
                has_it = is_newest and self.stream.held_version(type_url, name) == item.version
                has_all &= has_it
                for reference in (*traced.behind(item), *self.configs.touched(self.proxy, item)):
                    yield reference, has_it
        yield from ((reference, has_all) for reference in traced.whole)
        yield from traced.started_by

    def describe(self) -> dict[str, Any]:
        """The state of this proxy for /debug/syncz: generations sent and acknowledged by type, and what was refused."""
        described: dict[str, Any] = {
            "cluster_id": self.proxy.metric_labels.cluster,
            "proxy": f"{self.proxy.name}.{self.proxy.namespace}",
            "proxy_type": "router" if self.proxy.kind is ProxyKind.GATEWAY else "sidecar",
            "generation": self._generation,
            "synced": self._converged == self.configs.generation.number and not self.stream.is_waiting,
        }
        for type_url, name in _SYNC_NAMES.items():
            described[f"{name}_sent"] = self._sent.get(type_url, "")
            described[f"{name}_acked"] = self._acknowledged.get(type_url, "")
        described["rejected"] = [_describe(rejection) for rejection in self.stream.rejections()]
        last = self.last_rejection
        described["last_rejection"] = _describe(last) | {"at": _written(self.last_rejected)} if last else None
        described["proxy_version"] = self.proxy_version
        described["certificate"] = self._secrets.describe_certificate(self.proxy, self.stream)
        return described


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _describe(rejection: Rejection) -> dict[str, str]:
    return {
        "type": name_of_type(rejection.type_url),
        "name": rejection.name,
        "version": rejection.version,
        "reason": rejection.reason,
    }
