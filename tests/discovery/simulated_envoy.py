"""An Envoy made of dictionaries: it subscribes, warms, accepts and refuses as the real one does.

Clusters are warm only after their endpoints (or the word that there are none) arrived *after* them. Routes and
listeners name what they need in their bodies: a listener's body is the name of its route table, a route table's body
the clusters it sends to.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from kaiki.discovery.wire import DiscoveryRequest, DiscoveryResponse
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Resource

TYPES = (CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE)
BAD = b"bad"


def resource(type_url: str, name: str, version: str, body: bytes = b"") -> Resource:
    return Resource(name, type_url, version, body)


@dataclass
class SimulatedEnvoy:
    """`partial`: the good part of a refused response is kept, as Envoy does for some errors."""

    partial: bool = False
    has: dict[str, dict[str, Resource]] = field(default_factory=lambda: {type_url: {} for type_url in TYPES})
    asked: dict[str, set[str]] = field(default_factory=lambda: {ENDPOINT_TYPE: set(), ROUTE_TYPE: set()})
    warming: set[str] = field(default_factory=set)
    outbox: deque[DiscoveryRequest] = field(default_factory=deque)
    held_ack: DiscoveryRequest | None = None
    received: list[DiscoveryResponse] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)

    def connect(self) -> None:
        """A new stream: all that is asked for, with the versions of what is there."""
        self.outbox.clear()
        self.held_ack = None
        self.opened = {CLUSTER_TYPE, LISTENER_TYPE}
        for type_url in TYPES:
            versions = {name: resource.version for name, resource in self.has[type_url].items()}
            names = tuple(sorted(self.asked.get(type_url, ())))
            if type_url in self.asked and not names:
                continue
            self.opened.add(type_url)
            request = DiscoveryRequest(type_url, subscribe=names, initial_versions=versions)
            if type_url == CLUSTER_TYPE and self.warming:
                self.held_ack = request
            else:
                self.outbox.append(request)

    def receive(self, response: DiscoveryResponse) -> None:
        """Take in a response and queue what Envoy would say to it."""
        self.received.append(response)
        bad = [resource.name for resource in response.resources if resource.body == BAD]
        if not bad or self.partial:
            self._apply(response)
        self._answer(response, f"cannot use {bad}" if bad else None)
        self._resubscribe()

    def _apply(self, response: DiscoveryResponse) -> None:
        table = self.has[response.type_url]
        for name in response.removed:
            table.pop(name, None)
            if response.type_url in (CLUSTER_TYPE, ENDPOINT_TYPE):
                self.warming.discard(name)
        for good in (one for one in response.resources if one.body != BAD):
            if response.type_url == CLUSTER_TYPE and table.get(good.name) != good:
                self.warming.add(good.name)
            if response.type_url == ENDPOINT_TYPE:
                self.warming.discard(good.name)
            if response.type_url not in self.asked or good.name in self.asked[response.type_url]:
                table[good.name] = good

    def _answer(self, response: DiscoveryResponse, reason: str | None) -> None:
        answer = DiscoveryRequest(response.type_url, nonce=response.nonce, rejection=reason)
        if response.type_url == CLUSTER_TYPE and self.warming:
            self.held_ack = answer
        else:
            self.outbox.append(answer)
        if self.held_ack is not None and not self.warming:
            self.outbox.append(self.held_ack)
            self.held_ack = None

    def _resubscribe(self) -> None:
        self._want(ENDPOINT_TYPE, set(self.has[CLUSTER_TYPE]))
        self._want(ROUTE_TYPE, {listener.body.decode() for listener in self.has[LISTENER_TYPE].values()})

    def _want(self, type_url: str, names: set[str]) -> None:
        more, less = names - self.asked[type_url], self.asked[type_url] - names
        self.asked[type_url] = names
        for name in less:
            self.has[type_url].pop(name, None)
        if more or less:
            self.opened.add(type_url)
            self.outbox.append(
                DiscoveryRequest(type_url, subscribe=tuple(sorted(more)), unsubscribe=tuple(sorted(less)))
            )

    def broken_references(self) -> set[str]:
        """Clusters that routes in force send to and that are not there."""
        used = {name for table in self.has[ROUTE_TYPE].values() for name in table.body.decode().split()}
        return used - set(self.has[CLUSTER_TYPE])


Targets = Mapping[str, Mapping[str, Resource]]


def mesh(
    clusters: Mapping[str, str], routes: Mapping[str, tuple[str, ...]], bad: frozenset[str] = frozenset()
) -> Targets:
    """Targets of a mesh: cluster → version, route table → clusters. `bad` clusters and routes are refused."""
    targets: dict[str, dict[str, Resource]] = {type_url: {} for type_url in TYPES}
    for name, version in clusters.items():
        body = BAD if name in bad else version.encode()
        targets[CLUSTER_TYPE][name] = resource(CLUSTER_TYPE, name, f"{version}{body!r}", body)
        targets[ENDPOINT_TYPE][name] = resource(ENDPOINT_TYPE, name, "e1", b"endpoints")
    for name, used in routes.items():
        body = BAD if name in bad else " ".join(used).encode()
        targets[LISTENER_TYPE][name] = resource(LISTENER_TYPE, name, "l1", name.encode())
        targets[ROUTE_TYPE][name] = resource(ROUTE_TYPE, name, str(body), body)
    return targets
