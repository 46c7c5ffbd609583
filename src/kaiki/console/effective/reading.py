"""All rows of one proxy, read once for several requests; and the part, search, order and page that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from kaiki.console.effective.clusters import read_cluster, read_endpoints
from kaiki.console.effective.listeners import read_listener
from kaiki.console.effective.origins import Origins
from kaiki.console.effective.resources import ToldResource, resources_of
from kaiki.console.effective.routes import as_table, made_of, read_table
from kaiki.console.effective.rows import EndpointRow, PartCounts, Row
from kaiki.console.effective.secrets import read_secret
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE, VIRTUAL_HOST_TYPE

Object = dict[str, Any]
PARTS = ("listeners", "routes", "clusters", "endpoints", "secrets")


@dataclass(slots=True)
class ReadProxy:
    """One proxy's configuration; `texts` are what is searched, row by row."""

    told: Object
    resources: list[ToldResource]
    parts: dict[str, Sequence[Row]]
    texts: dict[str, list[str]] = field(default_factory=dict)

    def counts(self) -> PartCounts:
        """Rows by part."""
        return PartCounts(**{part: len(rows) for part, rows in self.parts.items()})

    def find(self, part: str, search: str, sort: str) -> list[Row]:
        """The rows of a part with every word somewhere in them, in the asked order (the proxy's own by default)."""
        rows = self.parts[part]
        words = search.lower().split()
        if words:
            texts = self.texts.get(part)
            if texts is None:
                texts = self.texts[part] = [msgspec.json.encode(row).decode().lower() for row in rows]
            found = [row for row, text in zip(rows, texts, strict=True) if all(word in text for word in words)]
        else:
            found = list(rows)
        key = _ORDERS[part].get(sort.removeprefix("-"))
        return sorted(found, key=key, reverse=sort.startswith("-")) if key is not None else found


def read_proxy(
    told: Object, services: Iterable[Object], configs: Iterable[Object], namespace: str, pod: Object | None = None
) -> ReadProxy:
    """Take apart what the control plane answered."""
    resources = resources_of(told)
    by_type: dict[str, list[ToldResource]] = {}
    for item in resources:
        by_type.setdefault(item.type_url, []).append(item)
    origins = Origins(services, configs, pod)
    endpoints = {item.name: list(read_endpoints(item)) for item in by_type.get(ENDPOINT_TYPE, ())}
    clusters = [read_cluster(item, origins, endpoints) for item in by_type.get(CLUSTER_TYPE, ())]
    tables_told = (*by_type.get(ROUTE_TYPE, ()), *map(as_table, by_type.get(VIRTUAL_HOST_TYPE, ())))
    routes = [row for item in tables_told for row in read_table(item, origins)]
    tables = made_of(routes)
    now = datetime.now(UTC)
    secrets = [
        row for item in by_type.get(SECRET_TYPE, ()) for row in read_secret(item, namespace, told["certificate"], now)
    ]
    return ReadProxy(
        told,
        resources,
        {
            "listeners": [read_listener(item, origins, tables) for item in by_type.get(LISTENER_TYPE, ())],
            "routes": routes,
            "clusters": clusters,
            "endpoints": [_with_cluster(row, origins) for rows in endpoints.values() for row in rows],
            "secrets": secrets,
        },
    )


def _with_cluster(row: EndpointRow, origins: Origins) -> EndpointRow:
    """An endpoint comes from its workload, and stands in its cluster because of the service."""
    found = (*row.origins, *origins.made.get(row.cluster, ()))
    return msgspec.structs.replace(row, origins=found, origin_count=len(found))


Key = Callable[[Any], Any]


def _number(value: float | None) -> float:
    return -1.0 if value is None else value


_STATES = ("refused", "waiting", "acknowledged")
_COMMON: dict[str, Key] = {
    "state": lambda row: _STATES.index(row.state) if row.state in _STATES else len(_STATES),
    "origin": lambda row: [(one.kind, one.namespace, one.name) for one in row.origins[:1]],
}
_ORDERS: dict[str, dict[str, Key]] = {
    "listeners": _COMMON
    | {
        "name": lambda row: row.name,
        "address": lambda row: row.address,
        "port": lambda row: row.port,
        "chains": lambda row: len(row.chains),
    },
    "routes": _COMMON
    | {
        "table": lambda row: (row.table, row.virtual_host, row.position),
        "domains": lambda row: row.domains,
        "target": lambda row: [one.cluster for one in row.targets],
        "timeout": lambda row: _number(row.timeout_seconds),
        "retries": lambda row: row.retries.count if row.retries is not None else -1,
    },
    "clusters": _COMMON
    | {
        "name": lambda row: (row.host, row.port, row.subset, row.name),
        "port": lambda row: row.port,
        "type": lambda row: row.type,
        "tls": lambda row: row.tls.mode,
        "endpoints": lambda row: (_number(row.healthy_endpoints), _number(row.endpoints)),
        "limits": lambda row: row.limits.connections or 1 << 40,
    },
    "endpoints": _COMMON
    | {
        "cluster": lambda row: row.cluster,
        "address": lambda row: row.address,
        "health": lambda row: row.health,
        "weight": lambda row: row.weight,
        "locality": lambda row: (row.priority, row.locality),
    },
    "secrets": _COMMON
    | {
        "name": lambda row: row.name,
        "issuer": lambda row: row.issuer,
        "from": lambda row: row.valid_from,
        "to": lambda row: row.valid_to,
        "left": lambda row: _number(row.days_left),
    },
}
SORTS = {part: tuple(keys) for part, keys in _ORDERS.items()}
