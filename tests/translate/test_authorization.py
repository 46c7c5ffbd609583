"""AuthorizationPolicies: whose they are, in which order they are asked, and what is said of unusable ones."""

from __future__ import annotations

from typing import Any

import pytest
import small_mesh
import yaml
from envoy.config.listener.v3 import listener_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2

from kaiki.interpret.interpretation import check_object, interpret
from kaiki.model.finding import ObjectRef
from kaiki.model.memo import Memo
from kaiki.model.policy.access import AccessAction, AccessPolicy, access_policies
from kaiki.model.proxy import LISTENER_TYPE
from kaiki.translate.generate import generate
from kaiki.translate.simulation import Outcome, Request, Verdict
from kaiki.translate.simulation.explanation import explain_request, proxy_of

MESH = """
kind: Proxy
metadata: {name: shop-v1-abc-0, namespace: one}
spec: {labels: {app: shop, version: v1}}
---
kind: Workload
metadata: {name: shop, namespace: one}
spec: {ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81, targetPort: 8081}]}
---
kind: Workload
metadata: {name: outside, namespace: one}
spec: {ports: [{name: http, port: 80}], sidecar: false}
"""
GET = {"to": [{"operation": {"methods": ["GET"]}}]}


def _policy(name: str = "tested", namespace: str = "one", annotations: Any = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2024-01-01T00:00:00Z"}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {**metadata, **({"annotations": annotations} if annotations else {})},
        "spec": spec,
    }


def _asked(chain_name: str, *policies: dict[str, Any]) -> list[tuple[str, list[str], bool]]:
    """(action, names of its rules, whether they are in force) at one chain, in the order in which they are asked."""
    documents = [*yaml.safe_load_all(MESH), *policies]
    (proxy,) = small_mesh.proxies(documents)
    config = generate(interpret(small_mesh.inputs(documents)).snapshot, proxy, Memo())
    listener = listener_pb2.Listener.FromString(config.of(LISTENER_TYPE)["virtualInbound"].body)
    (chain,) = [one for one in listener.filter_chains if one.name == chain_name]
    found: list[http_rbac_pb2.RBAC | network_rbac_pb2.RBAC] = []
    for one in chain.filters:
        if one.name.endswith("http_connection_manager"):
            manager = http.HttpConnectionManager.FromString(one.typed_config.value)
            assert manager.http_filters[-1].name.endswith("router")
            found += [
                http_rbac_pb2.RBAC.FromString(item.typed_config.value)
                for item in manager.http_filters
                if item.name.endswith("rbac")
            ]
        elif one.name.endswith("rbac"):
            found.append(network_rbac_pb2.RBAC.FromString(one.typed_config.value))
    asked = []
    for item in found:
        rules = item.rules if item.HasField("rules") else item.shadow_rules
        asked.append((rbac_pb2.RBAC.Action.Name(rules.action), sorted(rules.policies), item.HasField("rules")))
    return asked


def test_who_denies_is_asked_first() -> None:
    policies = [
        _policy("let-in", rules=[GET, {}]),
        _policy("refuse", action="DENY", rules=[GET]),
        _policy("refuse", "istio-system", action="DENY", rules=[GET]),
        _policy("mark", action="AUDIT", rules=[{}]),
    ]
    assert _asked("8080-mtls-http", *policies) == [
        ("DENY", ["ns[istio-system]-policy[refuse]-rule[0]", "ns[one]-policy[refuse]-rule[0]"], True),
        ("ALLOW", ["ns[one]-policy[let-in]-rule[0]", "ns[one]-policy[let-in]-rule[1]"], True),
        ("LOG", ["ns[one]-policy[mark]-rule[0]"], True),
    ]
    assert _asked("8080-plain-http", *policies) == _asked("8080-mtls-http", *policies)


def test_bytes_know_nothing_of_http() -> None:
    let_in, refuse = _policy(rules=[GET, {}]), _policy(action="DENY", rules=[GET])
    assert _asked("8081-mtls-tcp", let_in) == [("ALLOW", ["ns[one]-policy[tested]-rule[1]"], True)]
    assert _asked("8081-mtls-tcp", refuse) == [("DENY", ["ns[one]-policy[tested]-rule[0]"], True)]
    only_http = _policy(rules=[GET])
    assert _asked("8081-mtls-tcp", only_http) == [("ALLOW", [], True)], "nobody is let in"


def test_a_policy_without_rules_lets_nobody_in_and_one_that_denies_denies_nobody() -> None:
    assert _asked("8080-mtls-http", _policy()) == [("ALLOW", [], True)]
    assert _asked("8080-mtls-http", _policy(action="DENY")) == []


def test_what_is_only_tried_refuses_nobody() -> None:
    tried = _policy(annotations={"istio.io/dry-run": "true"}, action="DENY", rules=[{}])
    assert _asked("8080-mtls-http", tried) == [("DENY", ["ns[one]-policy[tested]-rule[0]"], False)]


def _model(namespace: str, **fields: Any) -> AccessPolicy:
    return AccessPolicy(ObjectRef("AuthorizationPolicy", namespace, "tested"), "", AccessAction.DENY, (), **fields)


SHOP = (("app", "shop"),)
GATEWAY = (
    ("gateway.networking.k8s.io/gateway-class-name", "istio"),
    ("gateway.networking.k8s.io/gateway-name", "entry"),
)


@pytest.mark.parametrize(
    ("policy", "labels", "expected"),
    [
        (_model("one"), SHOP, True),
        (_model("two"), SHOP, False),
        (_model("istio-system"), SHOP, True),
        (_model("one", selector=SHOP), SHOP, True),
        (_model("istio-system", selector=SHOP), SHOP, True),
        (_model("istio-system", selector=(("app", "other"),)), SHOP, False),
        (_model("one", gateways=("entry",), has_targets=True), GATEWAY, True),
        (_model("two", gateways=("entry",), has_targets=True), GATEWAY, False),
        (_model("one", gateways=("other",), has_targets=True), GATEWAY, False),
        (_model("istio-system", gateway_classes=("istio",), has_targets=True), GATEWAY, True),
        (_model("one", gateway_classes=("istio",), has_targets=True), GATEWAY, False),
        (_model("one", gateways=("entry",), has_targets=True), SHOP, False),
        (_model("one", has_targets=True), SHOP, False),
    ],
)
def test_whose_a_policy_is(policy: AccessPolicy, labels: tuple[tuple[str, str], ...], expected: bool) -> None:
    assert bool(access_policies((policy,), "one", labels)) is expected


def _source(**source: Any) -> dict[str, Any]:
    return _policy(rules=[{"from": [{"source": source}]}])


def _operation(**operation: Any) -> dict[str, Any]:
    return _policy(rules=[{"to": [{"operation": operation}]}])


def _when(key: str, **values: Any) -> dict[str, Any]:
    return _policy(rules=[{"when": [{"key": key, **values}]}])


@pytest.mark.parametrize(
    ("policy", "code", "path"),
    [
        (_policy(action="CUSTOM", provider={"name": "asked"}, rules=[{}]), "KAI2501", "spec.action"),
        (_policy(action="DENY"), "KAI2502", "spec.rules"),
        (_policy(action="AUDIT", rules=[{}]), "KAI2503", "spec.action"),
        (_policy(targetRefs=[{"kind": "Service", "name": "shop"}]), "KAI2504", "spec.targetRefs[0]"),
        (_source(), "KAI2505", "spec.rules[0].from[0].source"),
        (_policy(rules=[{"to": [{}]}]), "KAI2505", "spec.rules[0].to[0].operation"),
        (_source(serviceAccounts=["a"], namespaces=["b"]), "KAI2506", "spec.rules[0].from[0].source"),
        (_when("request.method", values=["GET"]), "KAI2507", "spec.rules[0].when[0].key"),
        (_when("request.headers", values=["a"]), "KAI2507", "spec.rules[0].when[0].key"),
        (_when("source.ip"), "KAI2508", "spec.rules[0].when[0]"),
        (_source(ipBlocks=["10.0.0.0/40"]), "KAI2509", "spec.rules[0].from[0].source.ipBlocks[0]"),
        (_source(notRemoteIpBlocks=["nowhere"]), "KAI2509", "spec.rules[0].from[0].source.notRemoteIpBlocks[0]"),
        (_operation(ports=["http"]), "KAI2509", "spec.rules[0].to[0].operation.ports[0]"),
        (_operation(methods=[""]), "KAI2509", "spec.rules[0].to[0].operation.methods[0]"),
        (_operation(paths=["/a/{**}/{*}"]), "KAI2509", "spec.rules[0].to[0].operation.paths[0]"),
        (_operation(paths=["/a{*}"]), "KAI2509", "spec.rules[0].to[0].operation.paths[0]"),
        (_source(serviceAccounts=["a/*"]), "KAI2509", "spec.rules[0].from[0].source.serviceAccounts[0]"),
        (_when("destination.port", notValues=["70000"]), "KAI2509", "spec.rules[0].when[0].notValues[0]"),
        (_operation(hosts=["shop.*.example"]), "KAI2510", "spec.rules[0].to[0].operation.hosts[0]"),
        (_source(requestPrincipals=["*"]), "KAI2511", "spec.rules[0].from[0].source.requestPrincipals[0]"),
        (_when("request.auth.claims[a]", values=["b"]), "KAI2511", "spec.rules[0].when[0].values[0]"),
        (_policy(selector={"matchLabels": {"app": "nobody"}}), "KAI2512", "spec.selector"),
        (_policy(selector={"matchLabels": {"app": "outside"}}), "KAI2513", "spec.selector"),
        (_policy(selector={"matchLabels": {"app": "shop"}}, rules=[GET]), "KAI2514", "spec.rules"),
        (
            _policy(targetRefs=[{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "none"}]),
            "KAI2515",
            "spec.targetRefs",
        ),
    ],
)
def test_what_cannot_be_meant_is_said(policy: dict[str, Any], code: str, path: str) -> None:
    snapshot = interpret(small_mesh.inputs(yaml.safe_load_all(MESH))).snapshot
    (finding,) = check_object(policy, snapshot)
    assert (finding.code, finding.path) == (code, path) and finding.hint


@pytest.mark.parametrize(
    "policy",
    [
        _policy(),
        _policy(rules=[{}]),
        _source(principals=["*"], notNamespaces=["a*"], ipBlocks=["192.0.2.1"]),
        _operation(paths=["/a/{*}/b", "/a/{**}", "*"], ports=["80"], hosts=["*.example"]),
        _when("request.headers[x-tier]", values=["gold*"]),
        _when("experimental.envoy.filters.network.mysql_proxy[db.table]", values=["[update]"]),
    ],
)
def test_what_can_be_meant_is_not_talked_about(policy: dict[str, Any]) -> None:
    snapshot = interpret(small_mesh.inputs(yaml.safe_load_all(MESH))).snapshot
    assert check_object(policy, snapshot) == []


# What is decided ------------------------------------------------------------------------------------------------------

CALLERS = """
kind: Workload
metadata: {name: client, namespace: one}
spec: {ports: [{name: http, port: 80}]}
---
kind: Workload
metadata: {name: stranger, namespace: two}
spec: {ports: [{name: http, port: 80}]}
"""


def _explained(policies: list[dict[str, Any]], caller: str, request: Request) -> Outcome:
    documents = [*yaml.safe_load_all(MESH), *yaml.safe_load_all(CALLERS), *policies]
    snapshot = interpret(small_mesh.inputs(documents)).snapshot
    namespace, _, name = caller.partition("/")
    return explain_request(snapshot, proxy_of(snapshot, namespace, name), request)


FROM_CLIENT = {"from": [{"source": {"principals": ["cluster.local/ns/one/sa/client-account"]}}]}
ITEMS = {"to": [{"operation": {"methods": ["GET"], "paths": ["/items/{*}", "/shops/{**}"]}}]}


@pytest.mark.parametrize(
    ("rule", "caller", "path", "passes"),
    [
        ({}, "two/stranger", "/", True),
        (FROM_CLIENT, "one/client", "/", True),
        (FROM_CLIENT, "two/stranger", "/", False),
        ({"from": [{"source": {"namespaces": ["o*"]}}]}, "one/client", "/", True),
        ({"from": [{"source": {"namespaces": ["o*"]}}]}, "two/stranger", "/", False),
        ({"from": [{"source": {"namespaces": ["*wo"]}}]}, "two/stranger", "/", True),
        ({"from": [{"source": {"namespaces": ["on"]}}]}, "one/client", "/", False),
        ({"from": [{"source": {"notNamespaces": ["two"]}}]}, "two/stranger", "/", False),
        ({"from": [{"source": {"serviceAccounts": ["client-account"]}}]}, "one/client", "/", True),
        ({"from": [{"source": {"serviceAccounts": ["two/client-account"]}}]}, "one/client", "/", False),
        ({"from": [{"source": {"principals": ["*/sa/client-account"]}}]}, "one/client", "/", True),
        ({"from": [{"source": {"principals": ["*"]}}]}, "two/stranger", "/", True),
        ({"from": [{"source": {"ipBlocks": ["10.97.0.0/16"]}}]}, "one/client", "/", True),
        ({"from": [{"source": {"notIpBlocks": ["10.97.0.0/16"]}}]}, "one/client", "/", False),
        (ITEMS, "one/client", "/items/1", True),
        (ITEMS, "one/client", "/items/1/2", False),
        (ITEMS, "one/client", "/shops/1/2", True),
        (ITEMS, "one/client", "/items/1?x=/2", True),
        ({"to": [{"operation": {"paths": ["/a*"], "notPaths": ["*.png"]}}]}, "one/client", "/a.png", False),
        ({"to": [{"operation": {"hosts": ["SHOP.one"]}}]}, "one/client", "/", True),
        ({"to": [{"operation": {"ports": ["8080"]}}]}, "one/client", "/", True),
        ({"to": [{"operation": {"ports": ["80"]}}]}, "one/client", "/", False),
        ({"when": [{"key": "request.headers[x-tier]", "values": ["gold*"]}]}, "one/client", "/", True),
        ({"when": [{"key": "request.headers[x-tier]", "notValues": ["golden"]}]}, "one/client", "/", False),
        ({"when": [{"key": "connection.sni", "values": ["*.shop.one.svc.cluster.local"]}]}, "one/client", "/", True),
        ({"when": [{"key": "request.auth.claims[a]", "values": ["b"]}]}, "one/client", "/", False),
        ({**FROM_CLIENT, **ITEMS}, "one/client", "/", False),
        ({**FROM_CLIENT, **ITEMS}, "one/client", "/items/1", True),
    ],
)
def test_what_a_rule_matches(rule: dict[str, Any], caller: str, path: str, passes: bool) -> None:
    asked = Request("shop.one", 80, path, headers={"x-tier": "golden"})
    let_in = _explained([_policy(rules=[rule])], caller, asked)
    refused = _explained([_policy(rules=[rule], action="DENY")], caller, asked)
    assert (let_in.verdict, let_in.status) == ((Verdict.FORWARDED, 0) if passes else (Verdict.REFUSED, 403))
    assert (refused.verdict is Verdict.REFUSED) is passes


def test_the_steps_name_the_rule_that_decided() -> None:
    policies = [_policy("let-in", rules=[ITEMS, {}]), _policy("refuse", rules=[FROM_CLIENT], action="DENY")]
    refused = _explained(policies, "one/client", Request("shop.one", 80))
    last = refused.steps[-1]
    assert (last.part, last.source, last.field, last.code) == (
        "policy",
        ObjectRef("AuthorizationPolicy", "one", "refuse"),
        "spec.rules[0]",
        "policyDenies",
    )
    assert refused.steps[-2].name == "shop-v1-abc-0.one"
    passed = _explained(policies, "two/stranger", Request("shop.one", 80, "/elsewhere"))
    assert (passed.steps[-1].field, passed.steps[-1].code) == ("spec.rules[1]", "policyAllows")
    nobody = _explained([_policy()], "two/stranger", Request("shop.one", 80))
    assert (nobody.verdict, nobody.steps[-1].code) == (Verdict.REFUSED, "policyNoneAllows")
    tried = _policy(annotations={"istio.io/dry-run": "true"}, action="DENY", rules=[{}])
    would = _explained([tried], "one/client", Request("shop.one", 80))
    assert (would.verdict, would.steps[-1].code) == (Verdict.FORWARDED, "policyWouldDeny")


def test_bytes_are_refused_without_a_status() -> None:
    outcome = _explained([_policy(rules=[FROM_CLIENT])], "two/stranger", Request("shop.one", 81, http=False))
    assert (outcome.verdict, outcome.status) == (Verdict.REFUSED, 0)
