"""Sidecars (the API's kind): which one speaks for a proxy, and that what is out of its sight never reaches it."""

from __future__ import annotations

from typing import Any

import pytest
import small_mesh
import yaml

from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, LISTENER_TYPE, ProxyConfig
from kaiki.translate.generate import generate

MESH = """
kind: Proxy
metadata: {name: client, namespace: one}
spec: {labels: {app: client}}
---
kind: Workload
metadata: {name: web, namespace: one}
spec: {ports: [{name: http, port: 80}]}
---
kind: Workload
metadata: {name: store, namespace: two}
spec: {ports: [{name: http, port: 80}, {name: tcp, port: 5000}]}
"""


def _documents(text: str = "") -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(f"{MESH}\n---\n{text}") if document]


def _sidecar(name: str, namespace: str, spec: str, created: str = "2024-01-01T00:00:00Z") -> str:
    metadata = f"{{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}"
    return f"---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {metadata}\nspec: {spec}\n"


def _config(documents: list[dict[str, Any]], memo: Memo, before: Interpretation | None = None) -> ProxyConfig:
    (proxy,) = small_mesh.proxies(documents)
    return generate(interpret(small_mesh.inputs(documents), before).snapshot, proxy, memo)


def _hosts(config: ProxyConfig) -> set[str]:
    names = (name.rpartition("|")[2] for name in config.of(CLUSTER_TYPE) if name.startswith("outbound|"))
    return {name.split(".")[0] for name in names}


NOTHING, OWN, ALL = "{egress: [{hosts: ['~/*']}]}", "{egress: [{hosts: ['./*']}]}", "{egress: [{hosts: ['*/*']}]}"
BY_LABEL = "{workloadSelector: {labels: {app: client}}, egress: [{hosts: ['two/*']}]}"


@pytest.mark.parametrize(
    ("sidecars", "expected"),
    [
        ("", {"web", "store"}),
        (_sidecar("a", "istio-system", NOTHING), set()),
        (_sidecar("a", "istio-system", OWN), {"web"}),
        (_sidecar("a", "istio-system", NOTHING) + _sidecar("b", "one", ALL), {"web", "store"}),
        (_sidecar("a", "one", OWN) + _sidecar("b", "one", BY_LABEL), {"store"}),
        (_sidecar("a", "two", NOTHING), {"web", "store"}),
        (_sidecar("new", "one", ALL, "2024-02-01T00:00:00Z") + _sidecar("old", "one", OWN), {"web"}),
        (_sidecar("a", "one", "{egress: [{hosts: ['*/store.two.svc.cluster.local']}]}"), {"store"}),
        (_sidecar("a", "one", "{egress: [{hosts: ['two/*.cluster.local']}]}"), {"store"}),
        (_sidecar("a", "one", "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"), {"web", "store"}),
    ],
)
def test_the_sidecar_that_speaks_for_a_proxy(sidecars: str, expected: set[str]) -> None:
    assert _hosts(_config(_documents(sidecars), Memo())) == expected


def test_what_a_sidecar_leaves_out_is_taken_from_the_proxy_and_comes_back() -> None:
    memo = Memo()
    everything = _config(_documents(), memo)
    narrow = _config(_documents(_sidecar("a", "one", OWN)), memo)
    assert "outbound|80||store.two.svc.cluster.local" not in narrow.of(CLUSTER_TYPE)
    assert len(narrow.of(LISTENER_TYPE)) < len(everything.of(LISTENER_TYPE))
    again = _config(_documents(), memo)
    assert {name: item.version for name, item in again.of(CLUSTER_TYPE).items()} == {
        name: item.version for name, item in everything.of(CLUSTER_TYPE).items()
    }


def test_a_service_out_of_sight_changes_nothing() -> None:
    sidecar = _sidecar("a", "one", OWN)
    new = "---\nkind: Workload\nmetadata: {name: more, namespace: two}\nspec: {ports: [{name: http, port: 80}]}\n"
    memo = Memo()
    before, after = _config(_documents(sidecar), memo), _config(_documents(sidecar + new), memo)
    for type_url, found in before.resources.items():
        assert {name: item.version for name, item in found.items()} == {
            name: item.version for name, item in after.of(type_url).items()
        }


def test_the_files_of_a_ports_own_tls_reach_the_listener() -> None:
    tls = "{mode: MUTUAL, serverCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem}"
    spec = f"{{ingress: [{{port: {{number: 8443, protocol: HTTPS, name: h}}, tls: {tls}}}]}}"
    listener = _config(_documents(_sidecar("a", "one", spec)), Memo()).of(LISTENER_TYPE)["virtualInbound"]
    for path in (b"/c.pem", b"/k.pem", b"/ca.pem"):
        assert path in listener.body
