"""Route tables as proxies get them: a table that hardly ever changes, and its virtual hosts one by one (VHDS).

    table 9080: virtual hosts a, b, …    ──▶   table 9080: "by VHDS"      virtual hosts 9080/a, 9080/b, …

So a changed VirtualService sends the virtual hosts it changed and nothing else. Translation keeps whole tables: patches
and the simulation need them. A virtual host's name is the table's and its own, as Envoy demands. A table without any
gets one that no request means, because Envoy waits for the first before it takes the table into use.

Decoding follows pieces: what translation put together in blocks, of which one change touches one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

from envoy.config.route.v3 import route_components_pb2, route_pb2

from kaiki.model.proxy import ROUTE_TYPE, VIRTUAL_HOST_TYPE, Resource
from kaiki.model.table import Table, table_of, updated
from kaiki.translate.encode import serialize, versioned
from kaiki.translate.transport_sockets import ads_source

_HOSTS_FIELD, _NAME_FIELD, _BYTES = 2, 1, 2
_NOBODY = "nobody"


class _Piece(NamedTuple):
    """Some bytes of a table: its own fields, and the virtual hosts in them."""

    raw: bytes
    fields: bytes
    hosts: tuple[Resource, ...]


class _SplitTable(NamedTuple):
    whole: Resource
    pieces: tuple[_Piece, ...]
    base: Resource


class Split(NamedTuple):
    """The tables of one proxy as they are sent, and all their virtual hosts by name."""

    whole: Mapping[str, Resource]
    tables: Mapping[str, _SplitTable]
    bases: Mapping[str, Resource]
    hosts: Table[str, Resource]


EMPTY = Split({}, {}, {}, Table())


class TableSplitter:
    """Splits the tables of all proxies. Equal virtual hosts are one resource, whoever has them."""

    def __init__(self) -> None:
        self._hosts: WeakValueDictionary[tuple[str, bytes], Resource] = WeakValueDictionary()
        self._known: dict[tuple[int, int], tuple[Split, Mapping[str, Resource], Split]] = {}

    def forget(self) -> None:
        """Splits are remembered for proxies that go from one state to the same next one; a new snapshot ends that."""
        self._known.clear()

    def split(self, before: Split, tables: Mapping[str, Resource]) -> Split:
        """Split the tables of a proxy that had `before`."""
        if before.whole is tables:
            return before
        known = self._known.get((id(before), id(tables)))
        if known is None:
            known = self._known[id(before), id(tables)] = before, tables, self._split(before, tables)
        return known[2]

    def _split(self, before: Split, tables: Mapping[str, Resource]) -> Split:
        found: dict[str, _SplitTable] = {}
        changes: dict[str, Resource | None] = {}
        for name, whole in tables.items():
            old = before.tables.get(name)
            found[name] = old if old is not None and old.whole is whole else self._table(whole, old)
            if found[name] is not old:
                _note_changes(changes, old, found[name])
        for name in before.tables.keys() - tables.keys():
            _note_changes(changes, before.tables[name], None)
        bases = {name: table.base for name, table in found.items()}
        same = bases.keys() == before.bases.keys() and all(before.bases[name] is one for name, one in bases.items())
        hosts = updated(before.hosts, changes) if before.hosts else table_of(_present(changes))
        return Split(tables, found, before.bases if same else bases, hosts)

    def _table(self, whole: Resource, old: _SplitTable | None) -> _SplitTable:
        known = {id(piece.raw): piece for piece in (old.pieces if old else ())}
        pieces = tuple(known.get(id(part)) or self._piece(whole.name, part) for part in whole.pieces)
        if not any(piece.hosts for piece in pieces):
            pieces = (*pieces, self._piece(whole.name, _NO_HOSTS))
        body = b"".join((*(piece.fields for piece in pieces), _BY_VHDS))
        base = versioned(whole.name, ROUTE_TYPE, body)
        if old is not None and old.base.version == base.version:
            base = old.base
        return _SplitTable(whole, pieces, base)

    def _piece(self, table: str, raw: bytes) -> _Piece:
        fields, hosts = bytearray(), []
        for number, start, value, end in _fields(raw):
            if number == _HOSTS_FIELD:
                hosts.append(self._host(table, raw[value:end]))
            else:
                fields += raw[start:end]
        return _Piece(raw, bytes(fields), tuple(hosts))

    def _host(self, table: str, body: bytes) -> Resource:
        known = self._hosts.get((table, body))
        if known is None:
            name, renamed = _renamed(table, body)
            known = self._hosts[table, body] = versioned(name, VIRTUAL_HOST_TYPE, renamed)
        return known


def table_name(host: str) -> str:
    """The table of a virtual host, by the host's name as it is sent."""
    return host.rpartition("/")[0]


def _present(changes: Mapping[str, Resource | None]) -> dict[str, Resource]:
    return {name: item for name, item in changes.items() if item is not None}


def _note_changes(changes: dict[str, Resource | None], old: _SplitTable | None, new: _SplitTable | None) -> None:
    """What of a table's virtual hosts came, went or differs, looked for in the pieces that are not the same."""
    was, now = old.pieces if old else (), new.pieces if new else ()
    kept = {id(piece) for piece in was} & {id(piece) for piece in now}
    for piece in was:
        if id(piece) not in kept:
            changes |= dict.fromkeys(host.name for host in piece.hosts)
    for piece in now:
        if id(piece) not in kept:
            changes |= {host.name: host for host in piece.hosts}


def _fields(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(number, where it starts, where its value starts, where it ends) of each field of a serialized message."""
    position, size = 0, len(raw)
    while position < size:
        start = position
        tag, position = _varint(raw, position)
        kind = tag & 7
        if kind == _BYTES:
            length, position = _varint(raw, position)
            value, position = position, position + length
        elif kind == 0:
            value = position
            _, position = _varint(raw, position)
        else:
            value, position = position, position + (8 if kind == 1 else 4)
        yield tag >> 3, start, value, position


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def _renamed(table: str, body: bytes) -> tuple[str, bytes]:
    """A virtual host's name as it is sent (a slash parts the two, and is nowhere else), and the host so named."""
    own, rest = "", bytearray()
    for number, start, value, end in _fields(body):
        if number == _NAME_FIELD:
            own = body[value:end].decode()
        else:
            rest += body[start:end]
    name = f"{table}/{own.replace('/', '-')}"
    return name, serialize(route_components_pb2.VirtualHost(name=name)) + bytes(rest)


def _by_vhds() -> bytes:
    table = route_pb2.RouteConfiguration()
    table.vhds.config_source.CopyFrom(ads_source())
    return serialize(table)


_BY_VHDS = _by_vhds()
_NO_HOSTS = serialize(
    route_pb2.RouteConfiguration(
        virtual_hosts=[route_components_pb2.VirtualHost(name=_NOBODY, domains=["nobody.invalid"])]
    )
)
