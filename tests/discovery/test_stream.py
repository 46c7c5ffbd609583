"""The stream brings any proxy to its configuration, whatever the proxy says and whenever it says it."""

import random
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.discovery.stream import Moment, Stream
from kaiki.discovery.watch import Watch
from kaiki.discovery.wire import DiscoveryRequest, DiscoveryResponse
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE, Resource
from kaiki.model.table import differences, table_of, updated

from .simulated_envoy import SimulatedEnvoy, Targets, mesh, resource

EARLY, LATE = Moment(), Moment(settled=True, patient=False)


class Wire:
    """A stream and an Envoy with a wire of any length between them."""

    def __init__(self, envoy: SimulatedEnvoy) -> None:
        self.envoy = envoy
        self.reconnect()

    def reconnect(self) -> None:
        self.stream = Stream()
        self.flying: deque[DiscoveryResponse] = deque()
        self.envoy.connect()

    def step(self, what: int, targets: Targets) -> bool:
        """Let one thing happen; False when there was nothing of that kind to do."""
        if what == 0 and self.envoy.outbox:
            self.stream.receive(self.envoy.outbox.popleft())
        elif what == 1 and (response := self.stream.next(targets, EARLY)) is not None:
            self.flying.append(response)
        elif what == 2 and self.flying:
            self.envoy.receive(self.flying.popleft())
        else:
            return False
        return True

    def settle(self, targets: Targets) -> None:
        """Until nobody has anything to say."""
        for _ in range(10_000):
            if any([self.step(0, targets), self.step(1, targets), self.step(2, targets)]):
                continue
            if (response := self.stream.next(targets, LATE)) is None:
                return
            self.flying.append(response)
        raise AssertionError("the stream does not come to rest")


CLUSTERS = ("a", "b", "c", "d")
clusters = st.dictionaries(st.sampled_from(CLUSTERS), st.sampled_from(("1", "2")))
meshes = clusters.flatmap(
    lambda known: st.builds(
        mesh,
        st.just(known),
        st.dictionaries(
            st.sampled_from(("80", "90", "99")), st.lists(st.sampled_from(sorted(known)), max_size=2).map(tuple)
        )
        if known
        else st.just({}),
        st.frozensets(st.sampled_from((*CLUSTERS, "80", "90")), max_size=2),
    )
)


@given(st.lists(meshes, min_size=1, max_size=4), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_order_of_events_ends_in_the_configuration(
    history: list[Targets], chance: random.Random, partial: bool
) -> None:
    wire = Wire(SimulatedEnvoy(partial=partial))
    for targets in history:
        for _ in range(chance.randrange(30)):
            wire.step(chance.randrange(3), targets)
        if chance.random() < 0.3:
            wire.reconnect()
    wire.settle(history[-1])
    final, envoy = history[-1], wire.envoy
    refused = {(rejection.type_url, rejection.name) for rejection in wire.stream.rejections()}
    assert refused == {
        (type_url, name)
        for type_url in final
        for name, one in final[type_url].items()
        if one.body == b"bad" and (type_url in (CLUSTER_TYPE, LISTENER_TYPE) or name in envoy.asked[type_url])
    }
    for type_url in (CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE):
        good = {name: one for name, one in final[type_url].items() if one.body != b"bad"}
        assert good.items() <= envoy.has[type_url].items()
        if not refused:
            assert good == envoy.has[type_url]
    assert not envoy.warming


@given(st.lists(meshes, min_size=2, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=4000, deadline=None)
def test_routes_never_send_to_a_cluster_that_is_not_there(history: list[Targets], chance: random.Random) -> None:
    good = [without_bad(targets) for targets in history]
    wire = Wire(SimulatedEnvoy())
    for targets in good:
        for _ in range(chance.randrange(20)):
            wire.step(chance.randrange(3), targets)
        for _ in range(3):
            if (response := wire.stream.next(targets, Moment(settled=not wire.envoy.outbox))) is not None:
                wire.flying.append(response)
                while wire.step(2, targets):
                    assert not wire.envoy.broken_references()


def without_bad(targets: Targets) -> Targets:
    """The mesh, or an empty one if something in it would be refused."""
    bad = any(one.body == b"bad" for table in targets.values() for one in table.values())
    return mesh({}, {}) if bad else targets


def test_after_a_reconnect_nothing_is_said_about_what_has_not_changed() -> None:
    targets = mesh({"a": "1", "b": "1"}, {"80": ("a", "b")})
    wire = Wire(SimulatedEnvoy())
    wire.settle(targets)
    wire.envoy.received.clear()
    wire.reconnect()
    wire.settle(mesh({"a": "1", "b": "1"}, {"80": ("a", "b")}))
    assert wire.envoy.received == []


def test_a_cluster_changed_while_away_gets_its_endpoints_again() -> None:
    wire = Wire(SimulatedEnvoy())
    wire.settle(mesh({"a": "1", "b": "1"}, {"80": ("a", "b")}))
    wire.envoy.received.clear()
    wire.reconnect()
    wire.settle(mesh({"a": "1", "b": "2"}, {"80": ("a", "b")}))
    said = [(response.type_url, [one.name for one in response.resources]) for response in wire.envoy.received]
    assert said == [(CLUSTER_TYPE, ["b"]), (ENDPOINT_TYPE, ["b"])]


def test_a_refused_resource_is_named_and_the_rest_goes_on() -> None:
    wire = Wire(SimulatedEnvoy())
    names = [f"c{number:02}" for number in range(40)]
    wire.settle(mesh(dict.fromkeys(names, "1"), {"80": ("c01",)}, frozenset({"c17"})))
    assert [rejection.name for rejection in wire.stream.rejections()] == ["c17"]
    assert set(wire.envoy.has[CLUSTER_TYPE]) == set(names) - {"c17"}
    assert len(wire.envoy.received) < 25
    wire.settle(mesh(dict.fromkeys(names, "1"), {"80": ("c01",)}))
    assert wire.stream.rejections() == ()
    assert set(wire.envoy.has[CLUSTER_TYPE]) == set(names)


def test_routes_wait_for_new_clusters_but_not_for_ever() -> None:
    wire = Wire(SimulatedEnvoy())
    wire.settle(mesh({"a": "1"}, {"80": ("a",)}))
    targets = mesh({"a": "1", "b": "1"}, {"80": ("b",)})
    first = wire.stream.next(targets, EARLY)
    assert first is not None and first.type_url == CLUSTER_TYPE
    assert wire.stream.next(targets, EARLY) is None
    second = wire.stream.next(targets, Moment(patient=False))
    assert second is not None and second.type_url == ROUTE_TYPE


def test_clusters_are_removed_after_the_routes_to_them() -> None:
    wire = Wire(SimulatedEnvoy())
    wire.settle(mesh({"a": "1", "b": "1"}, {"80": ("a",)}))
    wire.envoy.received.clear()
    wire.settle(mesh({"b": "1"}, {"80": ("b",)}))
    assert [(response.type_url, response.removed) for response in wire.envoy.received] == [
        (ROUTE_TYPE, ()),
        (CLUSTER_TYPE, ("a",)),
    ]


def test_a_slow_proxy_skips_versions_in_between() -> None:
    stream = Stream()
    stream.receive(DiscoveryRequest(ROUTE_TYPE, subscribe=("80",)))
    history = [{ROUTE_TYPE: {"80": resource(ROUTE_TYPE, "80", str(number))}} for number in range(5)]
    first = stream.next(history[0])
    assert first is not None
    assert all(stream.next(targets) is None for targets in history)
    stream.receive(DiscoveryRequest(ROUTE_TYPE, nonce=first.nonce))
    last = stream.next(history[-1])
    assert last is not None and [one.version for one in last.resources] == ["4"]


def test_an_answer_to_an_older_response_is_no_acknowledgement() -> None:
    stream = Stream()
    stream.receive(DiscoveryRequest(SECRET_TYPE, subscribe=("default",)))
    targets = {SECRET_TYPE: {"default": resource(SECRET_TYPE, "default", "1")}}
    assert stream.next(targets) is not None
    stream.receive(DiscoveryRequest(SECRET_TYPE, nonce="other"))
    assert stream.held_version(SECRET_TYPE, "default") == "" and stream.is_waiting


def test_a_name_nobody_knows_is_answered_as_removed() -> None:
    stream = Stream()
    stream.receive(DiscoveryRequest(CLUSTER_TYPE, subscribe=("*", "ghost")))
    response = stream.next({CLUSTER_TYPE: {}})
    assert response is not None and response.removed == ("ghost",)


def test_a_name_subscribed_again_is_sent_again() -> None:
    stream = Stream()
    targets = {ROUTE_TYPE: {"80": resource(ROUTE_TYPE, "80", "1")}}
    stream.receive(DiscoveryRequest(ROUTE_TYPE, subscribe=("80",)))
    first = stream.next(targets)
    assert first is not None
    stream.receive(DiscoveryRequest(ROUTE_TYPE, unsubscribe=("80",)))
    stream.receive(DiscoveryRequest(ROUTE_TYPE, subscribe=("80",)))
    stream.receive(DiscoveryRequest(ROUTE_TYPE, nonce=first.nonce))
    assert stream.next(targets) is not None


def test_a_large_answer_goes_in_parts() -> None:
    stream = Stream()
    stream.receive(DiscoveryRequest(CLUSTER_TYPE))
    table = {str(number): resource(CLUSTER_TYPE, str(number), "1", bytes(600_000)) for number in range(9)}
    targets, seen = {CLUSTER_TYPE: table}, 0
    while (response := stream.next(targets)) is not None:
        assert sum(len(one.body) for one in response.resources) < 3_000_000
        seen += len(response.resources)
        stream.receive(DiscoveryRequest(CLUSTER_TYPE, nonce=response.nonce))
    assert seen == 9


def test_a_proxy_that_starts_is_told_that_there_is_nothing() -> None:
    stream = Stream()
    for type_url in (CLUSTER_TYPE, LISTENER_TYPE):
        stream.receive(DiscoveryRequest(type_url))
        response = stream.next({})
        assert response is not None and (response.type_url, response.resources) == (type_url, ())
        stream.receive(DiscoveryRequest(type_url, nonce=response.nonce))
        assert stream.next({}) is None


def test_routes_wait_for_a_cluster_that_is_just_being_taken_away() -> None:
    """A service that goes and comes back at once: what was removed is not there, although its removal is unanswered."""
    wire = Wire(SimulatedEnvoy())
    wire.settle(mesh({"a": "1"}, {}, frozenset()))
    gone, back = mesh({}, {}, frozenset()), mesh({"a": "1"}, {"80": ("a",)}, frozenset())
    removal = wire.stream.next(gone, LATE)
    assert removal is not None and removal.removed == ("a",)
    said = wire.stream.next(back, Moment(settled=True))
    assert said is None or said.type_url not in (LISTENER_TYPE, ROUTE_TYPE)
    wire.flying.append(removal)
    wire.settle(back)
    assert not wire.envoy.broken_references()


def test_what_there_is_to_say_is_not_searched_for_among_all_names() -> None:
    """A change of one of many resources looks at that one, in every state of the stream."""
    asked: list[str] = []

    class Noting(dict[str, Resource]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.append(name)
            return super().get(name, default)

    table = table_of({f"c{number:03}": Resource(f"c{number:03}", CLUSTER_TYPE, "1", b"") for number in range(300)})
    watch = Watch(CLUSTER_TYPE, wildcard=True)
    first = watch.take(table, "1", may_remove=True)
    assert first is not None and len(first.resources) == 300
    watch.acknowledge("1")
    assert watch.take(table, "2", may_remove=True) is None
    changed = updated(table, {"c007": Resource("c007", CLUSTER_TYPE, "2", b"")})
    noting = Noting(changed)
    watch.differences = lambda one, _: differences(one, changed)
    second = watch.take(noting, "2", may_remove=True)
    assert second is not None and [one.name for one in second.resources] == ["c007"]
    watch.acknowledge("2")
    assert watch.take(noting, "3", may_remove=True) is None and watch.is_quiet(noting)
    assert set(asked) == {"c007"}
