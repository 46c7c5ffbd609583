"""PeerAuthentication: which chains stand at which port, who decides of several objects, and what clients are told."""

from __future__ import annotations

from typing import Any

import pytest
import small_mesh
import yaml
from envoy.config.listener.v3 import listener_pb2

from kaiki.interpret.interpretation import Interpretation, check_object, interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import LISTENER_TYPE
from kaiki.translate.generate import generate

MESH = """
kind: Proxy
metadata: {name: shop-v1-abc-0, namespace: one}
spec: {labels: {app: shop, version: v1}}
---
kind: Workload
metadata: {name: shop, namespace: one}
spec: {ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81, targetPort: 8081}]}
"""
BOTH, MUTUAL, PLAIN = "both", "mutual", "plain"


def _documents(*policies: dict[str, Any]) -> list[dict[str, Any]]:
    return [*yaml.safe_load_all(MESH), *policies]


def _policy(name: str, mode: str, namespace: str = "one", day: int = 1, **spec: Any) -> dict[str, Any]:
    created = f"2024-01-0{day}T00:00:00Z"
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": metadata,
        "spec": {**({"mtls": {"mode": mode}} if mode else {}), **spec},
    }


def _selected(**spec: Any) -> dict[str, Any]:
    return {"selector": {"matchLabels": {"app": "shop"}}, **spec}


def _taken(documents: list[dict[str, Any]], before: Interpretation | None = None) -> dict[str, str]:
    """Port → what is taken there, by the chains of the inbound listener."""
    (proxy,) = small_mesh.proxies(documents)
    config = generate(interpret(small_mesh.inputs(documents), before).snapshot, proxy, Memo())
    listener = listener_pb2.Listener.FromString(config.of(LISTENER_TYPE)["virtualInbound"].body)
    found: dict[str, set[str]] = {}
    for chain in listener.filter_chains:
        port, _, kind = chain.name.partition("-")
        found.setdefault(port, set()).add(MUTUAL if kind.startswith("mtls") else PLAIN)
    return {port: BOTH if len(kinds) > 1 else kinds.pop() for port, kinds in found.items()}


def _mutual_endpoints(documents: list[dict[str, Any]]) -> dict[int, bool]:
    """Port of the Service → whether clients speak mutual TLS to it."""
    endpoints = interpret(small_mesh.inputs(documents)).snapshot.endpoints
    return {port: all(item.mtls for item in found) for (_, port), found in endpoints.items()}


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], (BOTH, BOTH, BOTH)),
        ([_policy("mesh", "STRICT", "istio-system")], (MUTUAL, MUTUAL, MUTUAL)),
        ([_policy("mesh", "STRICT", "istio-system"), _policy("own", "DISABLE")], (PLAIN, PLAIN, PLAIN)),
        ([_policy("mesh", "STRICT", "istio-system"), _policy("own", "UNSET")], (MUTUAL, MUTUAL, MUTUAL)),
        ([_policy("mesh", "STRICT", "istio-system"), _policy("own", "")], (MUTUAL, MUTUAL, MUTUAL)),
        ([_policy("other", "STRICT", "two")], (BOTH, BOTH, BOTH)),
        ([_policy("own", "STRICT"), _policy("shop", "PERMISSIVE", **_selected())], (BOTH, BOTH, BOTH)),
        ([_policy("own", "DISABLE", day=2), _policy("older", "STRICT")], (MUTUAL, MUTUAL, MUTUAL)),
        ([_policy("shop", "STRICT", selector={"matchLabels": {"app": "other"}})], (BOTH, BOTH, BOTH)),
        (
            [_policy("shop", "STRICT", **_selected(portLevelMtls={"8081": {"mode": "DISABLE"}}))],
            (MUTUAL, PLAIN, MUTUAL),
        ),
        (
            [
                _policy("own", "STRICT"),
                _policy("shop", "", **_selected(portLevelMtls={"8080": {"mode": "PERMISSIVE"}})),
            ],
            (BOTH, MUTUAL, MUTUAL),
        ),
        (
            [_policy("own", "STRICT"), _policy("shop", "", **_selected(portLevelMtls={"8080": {"mode": "UNSET"}}))],
            (MUTUAL, MUTUAL, MUTUAL),
        ),
    ],
)
def test_the_nearest_object_that_says_something_decides(
    policies: list[dict[str, Any]], expected: tuple[str, str, str]
) -> None:
    assert tuple(_taken(_documents(*policies))[port] for port in ("8080", "8081", "other")) == expected


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], {80: True, 81: True}),
        ([_policy("own", "STRICT")], {80: True, 81: True}),
        ([_policy("own", "DISABLE")], {80: False, 81: False}),
        ([_policy("shop", "", **_selected(portLevelMtls={"8081": {"mode": "DISABLE"}}))], {80: True, 81: False}),
    ],
)
def test_clients_speak_what_is_taken(policies: list[dict[str, Any]], expected: dict[int, bool]) -> None:
    assert _mutual_endpoints(_documents(*policies)) == expected


def test_a_policy_comes_and_goes_while_the_pods_stay() -> None:
    documents = _documents(_policy("own", "DISABLE"))
    plain = interpret(small_mesh.inputs(_documents()))
    disabled = interpret({**small_mesh.inputs(documents)}, plain)
    assert not any(item.mtls for found in disabled.snapshot.endpoints.values() for item in found)
    after = interpret(small_mesh.inputs(_documents()), disabled)
    assert all(item.mtls for found in after.snapshot.endpoints.values() for item in found)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (_policy("a", "STRICT", portLevelMtls={"8080": {"mode": "STRICT"}}), "KAI2401"),
        (_policy("a", "STRICT", **_selected(portLevelMtls={"http": {"mode": "STRICT"}})), "KAI2402"),
        (_policy("a", "STRICT", **_selected(portLevelMtls={"70000": {"mode": "STRICT"}})), "KAI2402"),
        (_policy("a", "STRICT", selector={"matchLabels": {"app": "nobody"}}), "KAI2404"),
        (_policy("a", "STRICT", selector={"matchLabels": {"app": "outside"}}), "KAI2405"),
        (_policy("a", "STRICT", **_selected(portLevelMtls={"80": {"mode": "STRICT"}})), "KAI2406"),
    ],
)
def test_what_cannot_be_meant_is_said(policy: dict[str, Any], code: str) -> None:
    outside = {
        "kind": "Workload",
        "metadata": {"name": "outside", "namespace": "one"},
        "spec": {"ports": [{"name": "http", "port": 80}], "sidecar": False},
    }
    snapshot = interpret(small_mesh.inputs(_documents(outside))).snapshot
    (finding,) = check_object(policy, snapshot)
    assert finding.code == code and finding.hint


def test_of_two_for_the_same_workloads_the_newer_says_so() -> None:
    documents = _documents(_policy("old", "STRICT"), _policy("new", "DISABLE", day=2))
    (finding,) = [one for one in interpret(small_mesh.inputs(documents)).findings if one.code == "KAI2403"]
    assert finding.resource.name == "new" and "one/old" in finding.message
