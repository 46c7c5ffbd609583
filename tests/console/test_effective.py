"""What a proxy has in force, read from configurations as the control plane really makes them."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from kaiki.authority.authority import CertificateAuthority, new_root
from kaiki.console.effective.origins import Origins
from kaiki.console.effective.raw import REDACTED, dump, redact
from kaiki.console.effective.reading import SORTS, ReadProxy, read_proxy
from kaiki.console.effective.rows import Origin
from kaiki.discovery.secrets import certificate_secret, root_secret
from kaiki.discovery.virtual_hosts import EMPTY, TableSplitter
from kaiki.interpret.interpretation import interpret
from kaiki.model.identity import Identity, WorkloadLabels
from kaiki.model.memo import Memo
from kaiki.model.proxy import ROUTE_TYPE, SECRET_TYPE, VIRTUAL_HOST_TYPE, Resource
from kaiki.translate.generate import generate

TRANSLATE = Path(__file__).parent.parent / "translate"
CASES = sorted(path.parent.name for path in TRANSLATE.glob("cases/*/in.yaml"))


def load_small_mesh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("small_mesh", TRANSLATE / "small_mesh.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("small_mesh", module)
    spec.loader.exec_module(module)
    return module


small_mesh = load_small_mesh()


def told(resources: list[Resource], **more: Any) -> dict[str, Any]:
    """An answer of /debug/config_dump."""
    entries = [
        {
            "type": item.type_url,
            "name": item.name,
            "version": item.version,
            "state": "acknowledged",
            "touched": [],
            "body": base64.b64encode(item.body).decode(),
        }
        for item in resources
    ]
    return {"proxy": "x", "certificate": None, "resources": entries, **more}


def read(source: str) -> list[ReadProxy]:
    """The proxies of a YAML text, or of a translation case of that name."""
    text = (TRANSLATE / "cases" / source / "in.yaml").read_text() if "\n" not in source else source
    documents = [document for document in yaml.safe_load_all(text) if document]
    inputs = small_mesh.inputs(documents)
    snapshot = interpret(inputs).snapshot
    services = [obj for (kind, _, _), obj in inputs.items() if kind == "Service"]
    found = []
    for proxy in small_mesh.proxies(documents):
        config = generate(snapshot, proxy, Memo())
        split = TableSplitter().split(EMPTY, config.of(ROUTE_TYPE))  # As the control plane sends them.
        sent = {**config.resources, ROUTE_TYPE: split.bases, VIRTUAL_HOST_TYPE: split.hosts}
        answer = told([item for table in sent.values() for item in table.values()])
        labels = dict(proxy.labels)
        pod = {"metadata": {"name": proxy.name, "namespace": proxy.namespace, "labels": labels}}
        found.append(read_proxy(answer, services, inputs.values(), proxy.namespace, pod))
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_configuration_can_be_read_sorted_and_downloaded(case: str) -> None:
    for proxy in read(case):
        for part, keys in SORTS.items():
            for key in ("", *keys, *(f"-{key}" for key in keys)):
                assert len(proxy.find(part, "", key)) == len(proxy.parts[part])
        text = json.dumps(dump(proxy.resources))
        assert '"serialized"' not in text, "everything is readable"


MESH = """
kind: Workload
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}], versions: {v1: 2, v2: 1}}
---
kind: Proxy
metadata: {name: client, namespace: default}
spec: {labels: {app: client}}
---
kind: Proxy
metadata: {name: edge, namespace: default}
spec: {kind: gateway, labels: {istio: edge}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: limits, namespace: default}
spec:
  host: reviews
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 7}, http: {http1MaxPendingRequests: 5}}
    outlierDetection: {consecutive5xxErrors: 3, baseEjectionTime: 45s, maxEjectionPercent: 60}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: canary, namespace: default}
spec:
  hosts: [reviews, shop.example.org]
  gateways: [mesh, front]
  http:
  - match: [{uri: {prefix: /new}, headers: {end-user: {exact: jason}}}]
    timeout: 2s
    retries: {attempts: 4, perTryTimeout: 500ms, retryOn: 5xx}
    fault: {delay: {percentage: {value: 10}, fixedDelay: 1s}}
    route:
    - {destination: {host: reviews, subset: v1}, weight: 75}
    - {destination: {host: reviews, subset: v2}, weight: 25}
    headers: {request: {set: {authorization: Basic c2VjcmV0, x-shown: plain}}}
  - redirect: {uri: /new}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec:
  selector: {istio: edge}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.example.org]}]
"""
RULE = Origin("DestinationRule", "default", "limits", "networking.istio.io/v1")
SERVICE = Origin("Service", "default", "reviews")


def test_keys_that_check_tokens_are_shown_without_what_signs_them() -> None:
    keys = {"keys": [{"kty": "oct", "kid": "one", "k": "c2hhcmVk"}, {"kty": "RSA", "n": "public", "d": "private"}]}
    shown = redact({"local_jwks": {"inline_string": json.dumps(keys)}})["local_jwks"]["inline_string"]
    assert [key.get("k", key.get("d")) for key in json.loads(shown)["keys"]] == [REDACTED, REDACTED]
    assert "one" in shown and "public" in shown
    assert redact({"inline_string": '{"keys": [{"k": "c2hhcmVk"'}) == {"inline_string": REDACTED}
    assert redact({"inline_string": "-- a script"}) == {"inline_string": "-- a script"}


def test_a_route_says_what_it_takes_what_it_does_and_who_wrote_it() -> None:
    client, _ = read(MESH)
    first, second = (row for row in client.find("routes", "canary", "table") if row.table == "9080")
    assert [(one.kind, one.value) for one in first.matches] == [("prefix", "/new"), ("header", "end-user = jason")]
    shares = [(one.cluster.split("|")[2], one.percent) for one in first.targets]
    assert shares == [("v1", 75.0), ("v2", 25.0)]
    assert first.timeout_seconds == 2
    assert (first.retries.count, first.retries.try_seconds) == (4, 0.5)
    assert first.features == ("fault", "requestHeaders")
    written = Origin("VirtualService", "default", "canary", "networking.istio.io/v1", "spec.http[0].match[0]")
    assert first.origins == (written, SERVICE, RULE)
    assert (second.does, second.says) == ("redirect", "301 /new")


def test_a_cluster_says_its_limits_its_tls_and_its_endpoints() -> None:
    client, _ = read(MESH)
    (row,) = client.find("clusters", "outbound|9080|v1|reviews", "")
    assert (row.limits.connections, row.limits.pending_requests, row.limits.retries) == (7, 5, None)
    assert (row.ejection.errors, row.ejection.base_seconds, row.ejection.most_percent) == (3, 45, 60)
    assert (row.endpoints, row.healthy_endpoints, row.type) == (2, 2, "EDS")
    assert (row.tls.mode, row.tls.certificates, row.tls.roots) == ("automatic", ("default",), "ROOTCA")
    assert row.origins == (SERVICE, RULE)
    endpoints = client.find("endpoints", "outbound|9080|v2", "address")
    assert [one.origins[0] for one in endpoints] == [Origin("Workload", "default", "reviews-v2")]
    assert endpoints[0].mutual_tls


def test_listeners_lead_to_the_objects_behind_them() -> None:
    client, edge = read(MESH)
    (listener,) = client.find("listeners", "0.0.0.0_9080", "")
    assert {(one.kind, one.name) for one in listener.origins} >= {("VirtualService", "canary"), ("Service", "reviews")}
    assert {chain.leads for chain in listener.chains} == {"routes", "cluster"}
    (front,) = edge.find("listeners", "8080", "")
    gateway = Origin("Gateway", "default", "front", "networking.istio.io/v1", "spec.servers[0]")
    assert front.origins[0] == gateway, "plain HTTP is shared by Gateways and bears no mark"


def test_a_gateway_of_the_same_name_elsewhere_is_another() -> None:
    def gateway(namespace: str) -> dict[str, Any]:
        place = {"name": "front", "namespace": namespace}
        kinds = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}
        return {**kinds, "metadata": place, "spec": {"listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}}

    labels = {"gateway.networking.k8s.io/gateway-name": "front"}
    pod = {"metadata": {"name": "front-1", "namespace": "here", "labels": labels}}
    configs = [gateway("elsewhere"), gateway("here")]
    assert [one.namespace for one in Origins([], configs, pod).gateways_at(80)] == ["here"]
    assert not [*Origins([], configs).gateways_at(80)]


def test_a_thousand_clusters_are_searched_and_paged() -> None:
    kinds = [
        {
            "kind": "Workload",
            "metadata": {"name": f"s{number}", "namespace": "big"},
            "spec": {"ports": [{"name": "http", "port": 80}], "versions": {"v1": 1}},
        }
        for number in range(1000)
    ]
    proxy = {"kind": "Proxy", "metadata": {"name": "client", "namespace": "big"}, "spec": {"labels": {"app": "c"}}}
    (found,) = read("\n---\n".join(yaml.safe_dump(one) for one in (*kinds, proxy)))
    assert found.counts().clusters > 1000
    assert [row.host for row in found.find("clusters", "s999.big", "")] == ["s999.big.svc.cluster.local"]
    (listener,) = found.find("listeners", "0.0.0.0_80", "")
    assert listener.origin_count == 1000 and len(listener.origins) == 12


def test_certificates_with_their_days_and_without_their_keys() -> None:
    authority = CertificateAuthority(new_root(datetime.now(UTC)), lifetime=timedelta(hours=1))
    pair = authority.issue(Identity("default", "web"), WorkloadLabels("web", "default", "web", "v1", "web", "v1"))
    whole = certificate_secret(pair.certificate_pem, b"")
    name = "kubernetes://shop"
    resources = [
        Resource("default", SECRET_TYPE, pair.version, whole),
        root_secret(authority.root_certificates),
        Resource(name, SECRET_TYPE, "1", certificate_secret(pair.certificate_pem, b"", name)),
    ]
    rotates = "2030-01-01T00:00:00+00:00"
    found = read_proxy(told(resources, certificate={"rotates_at": rotates}), (), (), "shop")
    own, roots, given = found.find("secrets", "", "name")[1], *_others(found)
    assert own.names == ("spiffe://cluster.local/ns/default/sa/web",)
    assert own.rotates == rotates and 0 < own.days_left < 0.05
    assert (roots.kind, roots.days_left > 3000) == ("roots", True)
    assert given.origins == (Origin("Secret", "shop", "shop"),)


def _others(found: ReadProxy) -> tuple[Any, Any]:
    by_name = {row.name: row for row in found.find("secrets", "", "")}
    return by_name["ROOTCA"], by_name["kubernetes://shop"]


def test_a_certificate_of_another_control_plane_is_told_by_its_version() -> None:
    begins, ends = datetime.now(UTC), datetime.now(UTC) + timedelta(hours=12)
    known = {"identity": "spiffe://x", "issued_at": begins.isoformat(), "expires_at": ends.isoformat()}
    (row,) = read_proxy(told([Resource("default", SECRET_TYPE, "v", b"")], certificate=known), (), (), "a").find(
        "secrets", "", ""
    )
    assert (row.kind, row.names, row.valid_from) == ("certificate", ("spiffe://x",), begins.isoformat())
    assert 0.4 < row.days_left <= 0.5


def test_nothing_secret_is_downloaded() -> None:
    client, _ = read(MESH)
    text = json.dumps(dump(client.resources))
    assert "c2VjcmV0" not in text and REDACTED in text and "plain" in text
    assert redact({"private_key": {"inline_bytes": "x"}, "a": [{"password": "y"}]}) == {
        "private_key": REDACTED,
        "a": [{"password": REDACTED}],
    }
