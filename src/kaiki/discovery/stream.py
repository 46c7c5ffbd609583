"""One proxy's ADS stream as a state machine: requests in, responses out; no socket, no clock, no task.

    receive(request)   what the proxy asks for, acknowledges, refuses
    next(targets)      what to send it now, or None; called again until None

Rules of order (measured with Envoy; see also the xDS protocol, "Eventual consistency considerations"):

1. Clusters before endpoints before listeners before routes, so that nothing refers to what is not there yet. Listeners
   and routes wait until clusters they may need are warm, which is when Envoy acknowledges them; not for ever, though.
2. A cluster that is sent (again) starts warming and wants its endpoints again, whatever version it has of them.
3. Secrets and endpoints never wait: warming depends on them.
4. Clusters, endpoints and route tables are removed last, when nothing refers to them any more. Listeners are removed
   with the same response that adds others, since the new may bind what the old let go.
5. A virtual host is sent after its table, and again whenever the table is: Envoy forgets what it gets for a table it
   does not have. It says only once that it wants virtual hosts, not of which tables.

At most one response per type is under way: a slow proxy skips the versions in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kaiki.discovery.virtual_hosts import table_name
from kaiki.discovery.watch import Differences, Rejection, Target, Watch
from kaiki.discovery.wire import DiscoveryRequest, DiscoveryResponse
from kaiki.model.proxy import (
    CLUSTER_TYPE,
    ENDPOINT_TYPE,
    LISTENER_TYPE,
    PUSH_ORDER,
    ROUTE_TYPE,
    SECRET_TYPE,
    VIRTUAL_HOST_TYPE,
)
from kaiki.model.table import differences

_ORDER = (SECRET_TYPE, *PUSH_ORDER, VIRTUAL_HOST_TYPE)
_WILDCARD_TYPES = frozenset((CLUSTER_TYPE, LISTENER_TYPE, VIRTUAL_HOST_TYPE))
_ANSWERED_TYPES = frozenset((CLUSTER_TYPE, LISTENER_TYPE))
"""Types whose first answer Envoy waits for before it starts, even if it is empty. An empty answer about virtual hosts,
on the other hand, keeps listeners from ever becoming ready."""
_REFERRING_TYPES = frozenset((LISTENER_TYPE, ROUTE_TYPE, VIRTUAL_HOST_TYPE))
_REMOVED_AT_ONCE = frozenset((LISTENER_TYPE, VIRTUAL_HOST_TYPE))
_REMOVED_LAST = frozenset((CLUSTER_TYPE, ENDPOINT_TYPE, ROUTE_TYPE))
_NOTHING: Target = {}

Targets = Mapping[str, Target]
"""What the proxy should have: type URL → name → resource. Mappings are compared by identity: never change one."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a clock would say. `settled`: the proxy has been silent for a while, so it has told all it has after a
    reconnect, and removals may go out. `patient`: waiting for warm clusters is still reasonable."""

    settled: bool = False
    patient: bool = True


@dataclass(frozen=True, slots=True)
class Received:
    """What a request turned out to be. `acknowledged` is the response the proxy took over."""

    acknowledged: DiscoveryResponse | None = None
    rejection: Rejection | None = None
    rejected: bool = False


@dataclass(slots=True)
class HostWatch(Watch):
    """Virtual hosts: of them all, a proxy can use those of the `tables` it has."""

    tables: set[str] = field(default_factory=set)
    _present: Target = field(default_factory=dict)

    def follow(self, tables: Target) -> None:
        """The tables the proxy should have. Those of one that goes are not taken away by themselves: until nobody
        comes by its listener any more they answer as before, and then Envoy forgets them with their table."""
        if tables is not self._present:
            came = tables.keys() - self._present.keys()
            self._present = tables
            self._open.update(name for name in self.held if table_name(name) in came)

    def is_wanted(self, name: str) -> bool:
        return table_name(name) in self.tables

    def _is_due(self, name: str, target: Target) -> bool:
        if name not in target and table_name(name) not in self._present:
            return False
        return Watch._is_due(self, name, target)

    def _changed(self, target: Target) -> Iterable[str]:
        return self.differences(self._base, target)


class Stream:
    """The state of one stream."""

    def __init__(self, differences: Differences = differences) -> None:
        self._differences = differences
        self.watches: dict[str, Watch] = {}
        self._sent = 0
        self._clusters_before_endpoints: set[str] = set()
        self._tables: set[str] = set()

    def receive(self, request: DiscoveryRequest) -> Received:
        """Take in one request: an answer to a response, a change of interest, or both."""
        watch = self.watches.get(request.type_url)
        if watch is None:
            return self._open(request)
        received = Received()
        if request.nonce and request.rejection is not None:
            refused = watch.pending is not None and watch.pending.nonce == request.nonce
            received = Received(rejection=watch.reject(request.nonce, request.rejection), rejected=refused)
        elif request.nonce:
            received = Received(acknowledged=watch.acknowledge(request.nonce))
        if request.unsubscribe:
            watch.unsubscribe(request.unsubscribe)
            if request.type_url == ROUTE_TYPE:
                self._forget_tables(request.unsubscribe)
        if request.subscribe:
            watch.subscribe(request.subscribe, {})
        return received

    def _open(self, request: DiscoveryRequest) -> Received:
        wildcard = not request.subscribe and request.type_url in _WILDCARD_TYPES
        kind = HostWatch if request.type_url == VIRTUAL_HOST_TYPE else Watch
        watch = self.watches[request.type_url] = kind(
            request.type_url, wildcard=wildcard, differences=self._differences
        )
        if isinstance(watch, HostWatch):
            watch.tables = self._tables
            self._tables.update(table_name(name) for name in request.initial_versions)
        if request.type_url == ROUTE_TYPE:
            self._tables.update(request.initial_versions)
        watch.owes_answer = wildcard and not request.initial_versions and request.type_url in _ANSWERED_TYPES
        watch.subscribe(request.subscribe, request.initial_versions)
        if request.type_url == ENDPOINT_TYPE:
            self._force_endpoints(watch)
        return Received()

    def _force_endpoints(self, endpoints: Watch) -> None:
        """Rule 2 after a reconnect. Envoy asks for clusters first, except while one of them is warming: then it holds
        that request back. So who asks for endpoints first lost the connection between a cluster and its endpoints."""
        warming = self._clusters_before_endpoints if CLUSTER_TYPE in self.watches else set(endpoints.subscribed)
        for name in warming:
            endpoints.force(name)
        self._clusters_before_endpoints.clear()

    def next(self, targets: Targets, moment: Moment = Moment()) -> DiscoveryResponse | None:
        """The next response, which is then under way; None when nothing can be said now."""
        hosts = self.watches.get(VIRTUAL_HOST_TYPE)
        if isinstance(hosts, HostWatch):
            hosts.follow(targets.get(ROUTE_TYPE, _NOTHING))
        for type_url in self._types():
            watch, target = self.watches[type_url], targets.get(type_url, _NOTHING)
            if watch.pending is not None or self._must_wait(type_url, targets, moment):
                continue
            may_remove = type_url not in _REMOVED_LAST or (moment.settled and self._nothing_refers(targets))
            response = watch.take(target, str(self._sent + 1), may_remove)
            if response is not None:
                self._sent += 1
                self._after(response, targets)
                return response
        return None

    def _types(self) -> list[str]:
        known = [type_url for type_url in _ORDER if type_url in self.watches]
        return known + [type_url for type_url in self.watches if type_url not in _ORDER]

    def _must_wait(self, type_url: str, targets: Targets, moment: Moment) -> bool:
        """Rule 1: what refers to clusters waits for those that are new."""
        clusters = self.watches.get(CLUSTER_TYPE)
        if not moment.patient or type_url not in _REFERRING_TYPES or clusters is None or clusters.pending is None:
            return False
        return clusters.lacks(targets.get(CLUSTER_TYPE, _NOTHING))

    def _nothing_refers(self, targets: Targets) -> bool:
        """Rule 4: all that could refer to what is to be removed is as it should be. A listener that goes takes its
        route table with it, so it goes first."""
        return all(
            watch.is_quiet(targets.get(type_url, _NOTHING), removals=type_url in _REMOVED_AT_ONCE)
            for type_url, watch in self.watches.items()
            if type_url in _REFERRING_TYPES
        )

    def _after(self, response: DiscoveryResponse, targets: Targets) -> None:
        """Rules 2 and 5. A cluster's endpoints go by its name. After a reconnect a cluster may be sent before the proxy
        has said which endpoints it asks for."""
        if response.type_url == ROUTE_TYPE:
            self._send_hosts({table.name for table in response.resources}, targets.get(VIRTUAL_HOST_TYPE, _NOTHING))
        if response.type_url != CLUSTER_TYPE:
            return
        names = [cluster.name for cluster in response.resources]
        endpoints = self.watches.get(ENDPOINT_TYPE)
        if endpoints is None:
            self._clusters_before_endpoints.update(names)
            return
        for name in names:
            endpoints.force(name)

    def _send_hosts(self, tables: set[str], hosts: Target) -> None:
        self._tables |= tables
        watch = self.watches.get(VIRTUAL_HOST_TYPE)
        if watch is not None:
            for name in hosts:
                if table_name(name) in tables:
                    watch.force(name)

    def _forget_tables(self, tables: Iterable[str]) -> None:
        """What a proxy has of a table it drops it has no more. It drops one with the last listener that uses it, and
        says so; that the table is taken away from it changes nothing."""
        gone = {*tables} & self._tables
        watch = self.watches.get(VIRTUAL_HOST_TYPE)
        if gone and watch is not None:
            watch.drop([name for name in watch.held if table_name(name) in gone])
        self._tables -= gone

    def held_version(self, type_url: str, name: str) -> str:
        """The version the proxy certainly has of a resource; empty when there is none."""
        watch = self.watches.get(type_url)
        return watch.held.get(name, "") if watch is not None else ""

    def must_send(self, type_url: str, name: str) -> bool:
        """Whether a resource has to be sent even if its version stays."""
        watch = self.watches.get(type_url)
        return watch is not None and (name in watch.forced or name in watch.unsure)

    def wants(self, type_url: str) -> frozenset[str]:
        """The names of a type the proxy asked for one by one."""
        watch = self.watches.get(type_url)
        return frozenset(watch.subscribed) if watch is not None else frozenset()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer of the proxy is outstanding."""
        return any(watch.pending is not None for watch in self.watches.values())

    def rejections(self) -> tuple[Rejection, ...]:
        """What is quarantined on this stream."""
        return tuple(rejection for watch in self.watches.values() for rejection in watch.quarantined.values())
