"""Hosts that two objects claim at one gateway are named, with what of them is not in force."""

from __future__ import annotations

from typing import Any

import pytest
import small_mesh
import yaml

from kaiki.interpret.interpretation import check_object, interpret
from kaiki.model.finding import Severity

MESH = """
kind: Workload
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}]}
---
kind: Pod
metadata: {name: gateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, args: [--config-yaml, router~gateway]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.org"]}
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: [b.example.org], tls: {mode: ISTIO_MUTUAL}}
  - {port: {number: 444, name: tls, protocol: TLS}, hosts: [b.example.org], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: older, namespace: default, creationTimestamp: "2024-01-02T00:00:00Z"}
spec:
  hosts: [b.example.org]
  gateways: [front]
  http:
  - {match: [{uri: {prefix: /api}}], route: [{destination: {host: reviews}}]}
  - {route: [{destination: {host: reviews}}]}
  tls:
  - {match: [{sniHosts: [b.example.org]}], route: [{destination: {host: reviews}}]}
"""
TO = "route: [{destination: {host: reviews}}]"
ROUTES = [
    (f"{{match: [{{uri: {{prefix: /other}}}}], {TO}}}", "KAI0215", "spec.hosts[0]"),
    (f"{{match: [{{uri: {{exact: /api/v1}}}}], {TO}}}", "KAI0214", "spec.http[0]"),
    (f"{{{TO}}}", "KAI0214", "spec.http[0]"),
    (f"{{match: [{{uri: {{prefix: /}}, headers: {{x: {{exact: y}}}}}}], {TO}}}", "KAI0215", "spec.hosts[0]"),
]
SERVERS = [
    ("{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*.example.org']}", "KAI0410"),
    ("{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.example.org]}", ""),
    ("{port: {number: 443, name: a, protocol: HTTPS}, hosts: [b.example.org], tls: {mode: ISTIO_MUTUAL}}", "KAI0409"),
    ("{port: {number: 443, name: a, protocol: HTTPS}, hosts: [c.example.org], tls: {mode: ISTIO_MUTUAL}}", ""),
    ("{port: {number: 444, name: a, protocol: TLS}, hosts: [b.example.org], tls: {mode: PASSTHROUGH}}", "KAI0410"),
    ("{port: {number: 81, name: a, protocol: HTTP}, hosts: ['*.example.org']}", ""),
]


def _object(kind: str, spec: str) -> dict[str, Any]:
    metadata = {"name": "new", "namespace": "default", "creationTimestamp": "2024-02-01T00:00:00Z"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": yaml.safe_load(spec)}


def _found(new: dict[str, Any]) -> list[tuple[str, str, Severity]]:
    """What is said of an object, at admission as afterwards."""
    documents = list(yaml.safe_load_all(MESH))
    at_admission = check_object(new, interpret(small_mesh.inputs(documents)).snapshot)
    afterwards = interpret(small_mesh.inputs([*documents, new])).findings
    assert set(at_admission) == set(afterwards), "the older object is as good as before"
    assert all(finding.hint for finding in at_admission)
    return [(finding.code, finding.path, finding.severity) for finding in at_admission]


@pytest.mark.parametrize(("rule", "code", "path"), ROUTES)
def test_two_virtual_services_for_a_host_at_a_gateway(rule: str, code: str, path: str) -> None:
    found = _found(_object("VirtualService", f"{{hosts: [b.example.org], gateways: [front], http: [{rule}]}}"))
    assert found == [(code, path, Severity.WARNING if code == "KAI0214" else Severity.INFO)]


def test_two_virtual_services_for_a_server_name() -> None:
    rule = f"{{match: [{{sniHosts: [b.example.org]}}], {TO}}}"
    found = _found(_object("VirtualService", f"{{hosts: [b.example.org], gateways: [front], tls: [{rule}]}}"))
    assert found == [("KAI0214", "spec.tls[0]", Severity.WARNING)]


@pytest.mark.parametrize("spec", ["hosts: [a.example.org], gateways: [front]", "hosts: [b.example.org]"])
def test_other_hosts_and_other_places_are_no_matter(spec: str) -> None:
    assert _found(_object("VirtualService", f"{{{spec}, http: [{{{TO}}}]}}")) == []


@pytest.mark.parametrize(("server", "code"), SERVERS)
def test_two_servers_for_a_host_at_a_port(server: str, code: str) -> None:
    found = _found(_object("Gateway", f"{{selector: {{istio: ingressgateway}}, servers: [{server}]}}"))
    assert [one[:2] for one in found] == ([(code, "spec.servers[0].hosts[0]")] if code else [])


def test_two_servers_of_one_gateway() -> None:
    server = "{port: {number: 90, name: a, protocol: HTTPS}, hosts: [a.org], tls: {mode: ISTIO_MUTUAL}}"
    found = _found(_object("Gateway", f"{{selector: {{istio: ingressgateway}}, servers: [{server}, {server}]}}"))
    assert [one[:2] for one in found] == [("KAI0409", "spec.servers[1].hosts[0]")]
