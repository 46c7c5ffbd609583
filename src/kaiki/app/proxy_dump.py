"""What an Envoy itself says it has: its `config_dump`, asked for inside the pod, as rows.

The administration interface listens on the pod's loopback only. Envoy's image has bash and nothing that speaks HTTP, so
bash's own connections carry the request, on a cluster as on one machine.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from kaiki.app.machine import MachineError

_REQUEST = r"GET %s HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
_TIMEOUT_SECONDS = 60
_ORIGIN_PREFIX = "/apis/"
Object = Mapping[str, Any]
Row = list[str]


def read_dump(kubectl: str, environment: Mapping[str, str], namespace: str, target: str) -> Any:
    """The configuration of the proxy of a pod (or of one pod of `deploy/NAME`), as JSON. Raises MachineError."""
    script = f"exec 3<>/dev/tcp/127.0.0.1/15000 && printf '{_REQUEST % '/config_dump?include_eds'}' >&3 && cat <&3"
    command = [kubectl, "exec", "-n", namespace, target, "-c", "istio-proxy", "--", "bash", "-c", script]
    try:
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"{target} in namespace {namespace} has not answered in {_TIMEOUT_SECONDS} s.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        hint = "PROXY is a pod, POD.NAMESPACE or deploy/NAME with a container istio-proxy; -n names its namespace."
        raise MachineError(f"the proxy of {target} in namespace {namespace} cannot be asked: {said}. {hint}")
    return json.loads(_body(done.stdout))


def _body(answer: bytes) -> bytes:
    class Answered:
        """What http.client wants of a socket."""

        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(answer)

    response = http.client.HTTPResponse(Answered())  # type: ignore[arg-type]
    response.begin()
    return response.read()


def _dumps(document: Object, kind: str) -> Iterator[Object]:
    yield from (item for item in document["configs"] if item["@type"].endswith(f".{kind}"))


def _each(document: Object, kind: str, fields: Mapping[str, str]) -> Iterator[Object]:
    """The resources of a dump: `fields` are its lists and the key each entry has its resource under."""
    for dump in _dumps(document, kind):
        for field, key in fields.items():
            for entry in dump.get(field) or ():
                if key in entry:
                    yield entry[key]


def cluster_rows(document: Object) -> Iterator[Row]:
    """Host, port, subset, direction, type, the DestinationRule in it."""
    yield ["SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"]
    fields = {"static_clusters": "cluster", "dynamic_active_clusters": "cluster"}
    for item in sorted(_each(document, "ClustersConfigDump", fields), key=lambda one: str(one["name"])):
        parts = item["name"].split("|")
        direction, port, subset, host = parts if len(parts) == 4 else ("-", "-", "-", item["name"])
        kind = item.get("type") or item.get("cluster_type", {}).get("name", "").rpartition(".")[2] or "STATIC"
        yield [host, port, subset or "-", direction, kind, _origin(item)]


def listener_rows(document: Object) -> Iterator[Row]:
    """Address, port, what a chain matches, where it leads."""
    yield ["ADDRESSES", "PORT", "MATCH", "DESTINATION"]
    for item in _listeners(document):
        place = item.get("address", {}).get("socket_address", {})
        chains = [*item.get("filter_chains", ()), *filter(None, [item.get("default_filter_chain")])]
        for chain in chains:
            address = place.get("address") or item.get("address", {}).get("pipe", {}).get("path", "")
            yield [address, str(place.get("port_value", "-")), _chain_match(chain), _chain_destination(chain)]


def _listeners(document: Object) -> Iterator[Object]:
    yield from _each(document, "ListenersConfigDump", {"static_listeners": "listener"})
    for dump in _dumps(document, "ListenersConfigDump"):
        for entry in dump.get("dynamic_listeners") or ():
            if "active_state" in entry:
                yield entry["active_state"]["listener"]


def _chain_match(chain: Object) -> str:
    match = chain.get("filter_chain_match") or {}
    said = [
        *(f"SNI: {name}" for name in match.get("server_names", ())),
        *(f"Addr: {one['address_prefix']}/{one.get('prefix_len', 32)}" for one in match.get("prefix_ranges", ())),
        *([f"Port: {match['destination_port']}"] if "destination_port" in match else []),
        *([f"Trans: {match['transport_protocol']}"] if "transport_protocol" in match else []),
        *([f"App: {','.join(match['application_protocols'])}"] if match.get("application_protocols") else []),
    ]
    return "; ".join(said) or "ALL"


def _chain_destination(chain: Object) -> str:
    for item in chain.get("filters", ()):
        config = item.get("typed_config") or {}
        if "rds" in config:
            return f"Route: {config['rds']['route_config_name']}"
        if "route_config" in config:
            return f"Inline Route: {config['route_config'].get('name', '')}"
        if "weighted_clusters" in config:
            return ", ".join(f"Cluster: {one['name']}" for one in config["weighted_clusters"]["clusters"])
        if "cluster" in config and "stat_prefix" in config:
            return f"Cluster: {config['cluster']}"
    return "-"


def route_rows(document: Object) -> Iterator[Row]:
    """Table, virtual host, its domains, what a route matches, the object it comes of."""
    yield ["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"]
    fields = {"static_route_configs": "route_config", "dynamic_route_configs": "route_config"}
    for table in _each(document, "RoutesConfigDump", fields):
        for host in table.get("virtual_hosts") or ():
            domains = host.get("domains", [])
            shown = domains[0] + (f" + {len(domains) - 1} more" if len(domains) > 1 else "") if domains else ""
            for route in host.get("routes") or ():
                yield [table.get("name", ""), host["name"], shown, _route_match(route), _origin(route)]


def _route_match(route: Object) -> str:
    match = route.get("match") or {}
    for key in ("prefix", "path", "path_separated_prefix"):
        if key in match:
            return str(match[key]) + ("*" if key != "path" else "")
    return str((match.get("safe_regex") or {}).get("regex", "*"))


def endpoint_rows(document: Object) -> Iterator[Row]:
    """Address, health, cluster."""
    yield ["ENDPOINT", "STATUS", "CLUSTER"]
    fields = {"static_endpoint_configs": "endpoint_config", "dynamic_endpoint_configs": "endpoint_config"}
    for item in _each(document, "EndpointsConfigDump", fields):
        for group in item.get("endpoints") or ():
            for one in group.get("lb_endpoints") or ():
                place = one.get("endpoint", {}).get("address", {})
                socket = place.get("socket_address", {})
                address = f"{socket['address']}:{socket.get('port_value', 0)}" if socket else str(place.get("pipe"))
                yield [address, one.get("health_status", "HEALTHY"), item.get("cluster_name", "")]


def secret_rows(document: Object) -> Iterator[Row]:
    """Name, what it is, whether the proxy has it, whether it is good now, its serial number, its time. Never a key."""
    yield ["RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"]
    for dump in _dumps(document, "SecretsConfigDump"):
        for field, status in (
            ("static_secrets", "ACTIVE"),
            ("dynamic_active_secrets", "ACTIVE"),
            ("dynamic_warming_secrets", "WARMING"),
        ):
            for entry in dump.get(field) or ():
                yield _secret_row(entry, status)


def _secret_row(entry: Object, status: str) -> Row:
    from cryptography import x509

    secret = entry.get("secret") or {}
    chain = (secret.get("tls_certificate") or {}).get("certificate_chain") or {}
    roots = (secret.get("validation_context") or {}).get("trusted_ca") or {}
    kind = "CA" if roots else "Cert Chain"
    pem = base64.b64decode((chain or roots).get("inline_bytes") or "")
    try:
        found = x509.load_pem_x509_certificates(pem) if pem else []
    except ValueError:
        found = []
    if not found:
        return [str(entry.get("name")), kind, status, "false", "-", "-", "-"]
    first = found[0]
    valid = all(one.not_valid_before_utc <= datetime.now(UTC) < one.not_valid_after_utc for one in found)
    times = (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (first.not_valid_after_utc, first.not_valid_before_utc))
    return [str(entry.get("name")), kind, status, str(valid).lower(), f"{first.serial_number:x}", *times]


def bootstrap_of(document: Object) -> Any:
    """What the proxy was started with."""
    return next((dump.get("bootstrap") for dump in _dumps(document, "BootstrapConfigDump")), {})


def _origin(item: Object) -> str:
    """`name.namespace` of the object that the mesh's metadata names; `-` if there is none."""
    path = ((item.get("metadata") or {}).get("filter_metadata") or {}).get("istio", {}).get("config", "")
    parts = str(path).removeprefix(_ORIGIN_PREFIX).split("/")
    return f"{parts[-1]}.{parts[-3]}" if len(parts) >= 6 else "-"


PARTS: Mapping[str, Callable[[Object], Iterator[Row]]] = {
    "cluster": cluster_rows,
    "listener": listener_rows,
    "route": route_rows,
    "endpoint": endpoint_rows,
    "secret": secret_rows,
}
KINDS: Mapping[str, str] = {
    "cluster": "ClustersConfigDump",
    "listener": "ListenersConfigDump",
    "route": "RoutesConfigDump",
    "endpoint": "EndpointsConfigDump",
    "secret": "SecretsConfigDump",
}


def part_of(document: Object, part: str) -> list[Object]:
    """The raw dumps of a part."""
    return list(_dumps(document, KINDS[part]))
