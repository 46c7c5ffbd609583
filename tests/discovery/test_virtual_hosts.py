"""Route tables as they are sent: what a change of a table sends, and that nothing of the table is lost."""

from __future__ import annotations

import pytest
from envoy.config.route.v3 import route_components_pb2, route_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.discovery.stream import Moment, Stream
from kaiki.discovery.virtual_hosts import EMPTY, Split, TableSplitter, table_name
from kaiki.discovery.wire import DiscoveryRequest, DiscoveryResponse
from kaiki.model.memo import Memo
from kaiki.model.proxy import ROUTE_TYPE, VIRTUAL_HOST_TYPE, Resource
from kaiki.translate.encode import serialize
from kaiki.translate.virtual_hosts import host_block, route_table, table_of_blocks

Hosts = dict[str, str]
"""Virtual host → where its one route sends."""


def _host(name: str, cluster: str) -> bytes:
    host = route_components_pb2.VirtualHost(name=name, domains=[f"{name}.test"])
    route = host.routes.add(name="r" * 200)  # Long enough for lengths of two bytes.
    route.match.prefix, route.route.cluster = "/", cluster
    return serialize(host)


def _table(name: str, hosts: Hosts, memo: Memo, block: int = 0) -> Resource:
    bodies = [memo.get(_host, host, cluster) for host, cluster in hosts.items()]
    if not block:
        return route_table(name, tuple(bodies), memo)
    pieces = (tuple(bodies[start : start + block]) for start in range(0, len(bodies), block))
    return memo.get(table_of_blocks, name, tuple(memo.get(host_block, piece) for piece in pieces))


def _as_one(split: Split, name: str) -> route_pb2.RouteConfiguration:
    """A table with its virtual hosts under the names they had."""
    table = route_pb2.RouteConfiguration.FromString(split.bases[name].body)
    assert table.vhds.config_source.HasField("ads")
    table.ClearField("vhds")
    for item in split.hosts.values():
        if table_name(item.name) == name:
            host = route_components_pb2.VirtualHost.FromString(item.body)
            assert host.name == item.name
            host.name = item.name.rpartition("/")[2]
            table.virtual_hosts.append(host)
    return table


_TABLES = st.dictionaries(
    st.sampled_from(["80", "9080", "http.8080"]),
    st.dictionaries(st.sampled_from([*"abcdefgh"]), st.sampled_from(["x", "y"]), max_size=8),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_TABLES, max_size=6), st.sampled_from([0, 3]))
def test_nothing_is_lost_and_only_what_differs_is_new(states: list[dict[str, Hosts]], block: int) -> None:
    splitter, memo, split = TableSplitter(), Memo(), EMPTY
    before: dict[str, Hosts] = {}
    for tables in states:
        old = split
        split = splitter.split(old, {name: _table(name, hosts, memo, block) for name, hosts in tables.items()})
        for name, hosts in tables.items():
            found = {host.name: host for host in _as_one(split, name).virtual_hosts}
            if hosts:
                assert {key: host.routes[0].route.cluster for key, host in found.items()} == hosts
            else:
                assert [list(host.domains) for host in found.values()] == [["nobody.invalid"]]
            assert _as_one(split, name).ignore_port_in_host_matching
        assert list(split.hosts) == sorted(split.hosts)
        for name in tables.keys() & before.keys():
            assert split.bases[name] is old.bases[name], "the table itself stays"
            for host in tables[name].items() & before[name].items():
                key = f"{name}/{host[0]}"
                assert split.hosts[key] is old.hosts[key]
        before = tables


def test_proxies_that_go_the_same_way_share_everything() -> None:
    splitter, memo = TableSplitter(), Memo()
    first = {"80": _table("80", {"a": "x", "b": "x"}, memo)}
    one, other = splitter.split(EMPTY, first), splitter.split(EMPTY, first)
    assert one is other
    second = {"80": _table("80", {"a": "x", "b": "y"}, memo)}
    assert splitter.split(one, second) is splitter.split(other, second)
    elsewhere = splitter.split(EMPTY, {"80": _table("80", {"a": "x"}, Memo())})
    assert elsewhere.hosts["80/a"] is one.hosts["80/a"], "equal virtual hosts are one resource"


def test_a_slash_parts_the_table_from_the_host() -> None:
    made = TableSplitter().split(EMPTY, {"a/b": _table("a/b", {"c/d": "x"}, Memo())})
    assert list(made.hosts) == ["a/b/c-d"] and table_name("a/b/c-d") == "a/b"


class _Proxy:
    """A stream and a proxy that takes everything at once. `has` are the virtual hosts it can use."""

    def __init__(self) -> None:
        self.stream, self.tables, self.has = Stream(), set[str](), dict[str, Resource]()

    def ask(self, type_url: str, *names: str, have: dict[str, str] | None = None) -> None:
        self.stream.receive(DiscoveryRequest(type_url, subscribe=names, initial_versions=have or {}))

    def drop(self, *tables: str) -> None:
        """Listeners that used these tables are gone."""
        self.tables -= {*tables}
        self.has = {name: item for name, item in self.has.items() if table_name(name) in self.tables}
        self.stream.receive(DiscoveryRequest(ROUTE_TYPE, unsubscribe=tables))

    def take(self, split: Split) -> list[DiscoveryResponse]:
        """Everything that is said now."""
        targets, said = {ROUTE_TYPE: split.bases, VIRTUAL_HOST_TYPE: split.hosts}, []
        while (response := self.stream.next(targets, Moment(settled=True))) is not None:
            said.append(response)
            for item in response.resources:
                if response.type_url == ROUTE_TYPE:
                    self.tables.add(item.name)
                elif table_name(item.name) in self.tables:
                    self.has[item.name] = item
            for name in response.removed:
                self.has.pop(name, None)
            self.stream.receive(DiscoveryRequest(response.type_url, nonce=response.nonce))
        return said


def _said(responses: list[DiscoveryResponse]) -> list[tuple[str, list[str], tuple[str, ...]]]:
    return [(one.type_url.rpartition(".")[2], [item.name for item in one.resources], one.removed) for one in responses]


@pytest.fixture
def connected() -> tuple[_Proxy, TableSplitter, Memo, Split]:
    """A proxy that has two tables."""
    splitter, memo, proxy = TableSplitter(), Memo(), _Proxy()
    tables = {name: _table(name, {"a": "x", "b": "x"}, memo) for name in ("80", "81")}
    split = splitter.split(EMPTY, tables)
    proxy.ask(ROUTE_TYPE, "80", "81")
    proxy.take(split)
    proxy.ask(VIRTUAL_HOST_TYPE)
    proxy.take(split)
    assert proxy.has == split.hosts
    return proxy, splitter, memo, split


def test_a_change_sends_the_virtual_hosts_it_changed(
    connected: tuple[_Proxy, TableSplitter, Memo, Split],
) -> None:
    proxy, splitter, memo, split = connected
    tables = {"80": _table("80", {"a": "x", "b": "y", "c": "x"}, memo), "81": _table("81", {"b": "x"}, memo)}
    changed = splitter.split(split, tables)
    assert _said(proxy.take(changed)) == [("VirtualHost", ["80/b", "80/c"], ("81/a",))]
    assert proxy.has == changed.hosts and proxy.take(changed) == []


def test_virtual_hosts_follow_their_table_whenever_it_comes(
    connected: tuple[_Proxy, TableSplitter, Memo, Split],
) -> None:
    proxy, splitter, memo, split = connected
    proxy.drop("81")
    assert set(proxy.has) == {"80/a", "80/b"}
    changed = splitter.split(split, {**split.whole, "81": _table("81", {"a": "y", "b": "x"}, memo)})
    assert proxy.take(changed) == [], "a table nobody asks for is not talked about"
    proxy.ask(ROUTE_TYPE, "81")
    assert _said(proxy.take(changed)) == [
        ("RouteConfiguration", ["81"], ()),
        ("VirtualHost", ["81/a", "81/b"], ()),
    ]
    assert proxy.has == changed.hosts


def test_a_table_that_goes_answers_until_it_has_gone(connected: tuple[_Proxy, TableSplitter, Memo, Split]) -> None:
    proxy, splitter, memo, split = connected
    without = splitter.split(split, {"80": split.whole["80"]})
    assert _said(proxy.take(without)) == [("RouteConfiguration", [], ("81",))], "its listener may still be in use"
    assert proxy.has == split.hosts
    again = splitter.split(without, {**split.whole, "81": _table("81", {"b": "x", "c": "x"}, memo)})
    # What the table no longer has goes with what comes: the domain may be the same.
    assert _said(proxy.take(again)) == [
        ("RouteConfiguration", ["81"], ()),
        ("VirtualHost", ["81/b", "81/c"], ("81/a",)),
    ]
    assert proxy.has == again.hosts


def test_a_table_that_has_gone_comes_back_whole(connected: tuple[_Proxy, TableSplitter, Memo, Split]) -> None:
    proxy, splitter, _, split = connected
    without = splitter.split(split, {"80": split.whole["80"]})
    proxy.take(without)
    proxy.drop("81")
    assert proxy.take(without) == [] and proxy.has == without.hosts
    proxy.ask(ROUTE_TYPE, "81")
    proxy.take(split)
    assert proxy.has == split.hosts


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_TABLES, st.booleans()), max_size=8))
def test_whatever_comes_and_goes_a_table_has_its_virtual_hosts(steps: list[tuple[dict[str, Hosts], bool]]) -> None:
    """A proxy keeps a table that goes for as long as a connection may use it, which may end before it comes back."""
    splitter, memo, proxy, split = TableSplitter(), Memo(), _Proxy(), EMPTY
    proxy.ask(VIRTUAL_HOST_TYPE)
    for tables, drained in steps:
        split = splitter.split(split, {name: _table(name, hosts, memo) for name, hosts in tables.items()})
        proxy.ask(ROUTE_TYPE, *sorted(tables.keys() - proxy.tables))
        proxy.take(split)
        assert {name: item for name, item in proxy.has.items() if table_name(name) in tables} == split.hosts
        if drained and (gone := proxy.tables - tables.keys()):
            proxy.drop(*sorted(gone))
            assert proxy.take(split) == []


def test_a_proxy_that_comes_back_gets_what_differs(connected: tuple[_Proxy, TableSplitter, Memo, Split]) -> None:
    _, splitter, memo, split = connected
    changed = splitter.split(split, {"80": _table("80", {"a": "x", "b": "y"}, memo), "81": split.whole["81"]})
    for order in ((ROUTE_TYPE, VIRTUAL_HOST_TYPE), (VIRTUAL_HOST_TYPE, ROUTE_TYPE)):
        again = _Proxy()
        again.tables, again.has = {"80", "81"}, {**split.hosts, "80/gone": split.hosts["80/a"]}
        for type_url in order:
            items = split.bases if type_url == ROUTE_TYPE else again.has
            names = ("80", "81") if type_url == ROUTE_TYPE else ()
            again.ask(type_url, *names, have={name: item.version for name, item in items.items()})
        assert _said(again.take(changed)) == [("VirtualHost", ["80/b"], ("80/gone",))]
        assert again.has == changed.hosts
