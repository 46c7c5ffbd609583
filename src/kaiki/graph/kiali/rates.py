"""What flows over an edge or through a node, as Kiali writes it: `{"protocol": "http", "rates": {"http": "1.50"}}`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaiki.graph.model import Edge

Object = dict[str, Any]
NO_RESPONSE = ("0", "-", "")


def tcp_rate(edge: Edge, kind: str) -> float:
    """Bytes a second: `sent` by the server, `received` by it, or their `total`."""
    sent, received = edge.bytes_sent_per_second, edge.bytes_received_per_second
    return {"sent": sent, "received": received, "total": sent + received}.get(kind, 0.0)


def edge_rates(edge: Edge, duration_seconds: int, tcp: str) -> dict[str, float]:
    """Rates by Kiali's names for an edge, a second; zero ones are left out."""
    if edge.protocol == "tcp":
        rates = {"tcp": tcp_rate(edge, tcp)}
    else:
        rates = {edge.protocol: edge.request_count / duration_seconds}
        for code, flags in edge.response_codes.items():
            if name := _class_of(edge.protocol, code):
                rates[name] = rates.get(name, 0.0) + sum(flags.values()) / duration_seconds
    return {name: value for name, value in rates.items() if value > 0}


def _class_of(protocol: str, code: str) -> str:
    if code in NO_RESPONSE and (protocol == "http" or code != "0"):
        return f"{protocol}NoResponse"
    if protocol == "grpc":
        return "" if code == "0" else "grpcErr"
    return f"http{code[0]}xx" if code[:1] in ("3", "4", "5") else ""


def error_share(protocol: str, rates: dict[str, float]) -> float:
    """Percent of requests that failed."""
    names = ("grpcErr", "grpcNoResponse") if protocol == "grpc" else ("http4xx", "http5xx", "httpNoResponse")
    return 100 * sum(rates.get(name, 0.0) for name in names) / rates[protocol]


def edge_traffic(edge: Edge, rates: dict[str, float], sent_by_source: float) -> Object:
    """`traffic` of an edge; `sent_by_source` is the rate of all that its source sends in this protocol."""
    protocol = edge.protocol
    texts = {name: f"{value:.2f}" for name, value in rates.items()}
    if protocol != "tcp" and protocol in rates:
        if failed := error_share(protocol, rates):
            texts[f"{protocol}PercentErr"] = f"{failed:.1f}"
        if sent_by_source > 0:
            texts[f"{protocol}PercentReq"] = f"{100 * rates[protocol] / sent_by_source:.1f}"
    return {"protocol": protocol, "rates": texts, "responses": _responses(edge)}


def _responses(edge: Edge) -> Object:
    if edge.protocol == "tcp":
        hosts = {host: "100.0" for hosts in edge.hosts.values() for host in hosts}
        return {"-": {"flags": {"-": "100.0"}, "hosts": hosts}}
    total = edge.request_count or 1.0
    return {
        ("-" if code in ("0", "") and edge.protocol == "http" else code): {
            "flags": {flag: f"{100 * count / total:.1f}" for flag, count in flags.items()},
            "hosts": {host: f"{100 * count / total:.1f}" for host, count in edge.hosts.get(code, {}).items()},
        }
        for code, flags in edge.response_codes.items()
    }


def node_traffic(inbound: Iterable[dict[str, float]], outbound: Iterable[dict[str, float]]) -> list[Object]:
    """`traffic` of a node: its edges' rates added up, `httpIn`, `httpIn5xx`, `httpOut` …"""
    sums: dict[str, float] = {}
    for rates in inbound:
        for name, value in rates.items():
            protocol, rest = _split(name)
            sums[f"{protocol}In{rest}"] = sums.get(f"{protocol}In{rest}", 0.0) + value
    for rates in outbound:
        for protocol in ("http", "grpc", "tcp"):
            if protocol in rates:
                sums[f"{protocol}Out"] = sums.get(f"{protocol}Out", 0.0) + rates[protocol]
    by_protocol = {
        protocol: {name: f"{value:.2f}" for name, value in sorted(sums.items()) if name.startswith(protocol)}
        for protocol in ("grpc", "http", "tcp")
    }
    return [{"protocol": protocol, "rates": rates} for protocol, rates in by_protocol.items() if rates]


def _split(name: str) -> tuple[str, str]:
    length = 3 if name.startswith("tcp") else 4
    return name[:length], name[length:]
