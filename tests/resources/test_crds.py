"""The CRDs: valid for Kubernetes, complete, and strict about what the code would refuse."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest

from kaiki.resources.crds import custom_resource_definitions

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in custom_resource_definitions()}


def _schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


GROUPS = {
    "Telemetry": ("telemetry.istio.io", ["v1", "v1alpha1"]),
    "EnvoyFilter": ("networking.istio.io", ["v1alpha3"]),
    "ProxyConfig": ("networking.istio.io", ["v1beta1"]),
    "AuthorizationPolicy": ("security.istio.io", ["v1", "v1beta1"]),
    "PeerAuthentication": ("security.istio.io", ["v1", "v1beta1"]),
    "RequestAuthentication": ("security.istio.io", ["v1", "v1beta1"]),
    "WasmPlugin": ("extensions.istio.io", ["v1alpha1"]),
}
"""Kinds whose group or versions differ from those of Istio's networking group."""


def _accepts(kind: str, spec: dict[str, Any]) -> bool:
    return jsonschema_rs.is_valid(_schema(kind), {"spec": spec})


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_kubernetes_accepts_the_definition(kind: str) -> None:
    kubernetes_validate.validate(CRDS[kind], "1.33", strict=True)


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_versions_and_names_are_istios(kind: str) -> None:
    spec = CRDS[kind]["spec"]
    group, versions = GROUPS.get(kind, ("networking.istio.io", ["v1", "v1beta1", "v1alpha3"]))
    assert [version["name"] for version in spec["versions"]] == versions
    assert [version["storage"] for version in spec["versions"]] == [name == versions[0] for name in versions]
    assert CRDS[kind]["metadata"]["name"] == f"{spec['names']['plural']}.{group}"
    assert spec["names"]["categories"] == ["istio-io", group.replace(".", "-")]


def _names(schema: dict[str, Any]) -> set[str]:
    found = set(schema.get("properties", {}))
    for item in [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(item, dict):
            found |= _names(item)
    return found


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("VirtualService", "delegate uriRegexRewrite retryIgnorePreviousHosts unmatchedPreflights statPrefix sniHosts"),
        ("VirtualService", "http2Error mirrorPercent derivePort withoutHeaders sourceSubnet ignoreUriCase exportTo"),
        ("DestinationRule", "consecutive5xxErrors http1MaxPendingRequests http2MaxRequests h2UpgradePolicy caCrl"),
        ("DestinationRule", "failoverPriority from warmupDurationSecs maglev tunnel proxyProtocol retryBudget"),
        ("Gateway", "verifyCertificateSpki credentialNames caCertCredentialName minProtocolVersion defaultEndpoint"),
        (
            "AuthorizationPolicy",
            "notRequestPrincipals notNamespaces serviceAccounts ipBlocks notRemoteIpBlocks notHosts",
        ),
        ("AuthorizationPolicy", "targetRefs notPorts notMethods notPaths notValues provider action from to when"),
        ("PeerAuthentication", "selector mtls mode portLevelMtls"),
        (
            "RequestAuthentication",
            "issuer jwksUri jwks fromHeaders fromParams fromCookies outputClaimToHeaders audiences",
        ),
        ("RequestAuthentication", "outputPayloadToHeader forwardOriginalToken timeout spaceDelimitedClaims"),
        ("WasmPlugin", "url sha256 imagePullPolicy imagePullSecret verificationKey pluginConfig pluginName phase"),
        ("WasmPlugin", "priority failStrategy vmConfig valueFrom match ports type targetRefs"),
    ],
)
def test_fields_are_spelled_as_in_the_reference(kind: str, names: str) -> None:
    assert set(names.split()) <= _names(_schema(kind))


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("VirtualService", {"hosts": ["a"], "http": [{"timeout": "2s", "route": [{"destination": {"host": "a"}}]}]}),
        ("VirtualService", {"hosts": ["a"], "http": [{"match": [{"uri": {"prefix": "/"}}], "redirect": {"uri": "/"}}]}),
        ("DestinationRule", {"host": "a", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}),
        ("Gateway", {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}),
        ("AuthorizationPolicy", {}),
        ("AuthorizationPolicy", {"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}]}),
        (
            "PeerAuthentication",
            {"selector": {"matchLabels": {"app": "a"}}, "portLevelMtls": {"80": {"mode": "DISABLE"}}},
        ),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "shop.example", "jwks": "{}", "timeout": "2s"}]}),
        ("WasmPlugin", {"url": "oci://shop.example/filter:1", "pluginConfig": {"any": [{"thing": 1}]}, "priority": -3}),
    ],
)
def test_what_users_write_is_accepted(kind: str, spec: dict[str, Any]) -> None:
    assert _accepts(kind, spec)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("VirtualService", {"http": [{"timeout": "2"}]}),
        ("VirtualService", {"http": [{"route": [{"destination": {}}]}]}),
        ("VirtualService", {"http": [{"match": [{"uri": {"prefix": "/", "exact": "/"}}]}]}),
        ("VirtualService", {"http": [{"route": [], "redirect": {"uri": "/"}}]}),
        ("VirtualService", {"http": [{"route": [{"destination": {"host": "a"}, "weight": -1}]}]}),
        ("DestinationRule", {"host": "a", "trafficPolicy": {"tls": {"mode": "SOMETHING"}}}),
        ("DestinationRule", {"trafficPolicy": {}}),
        ("Gateway", {"servers": [{"port": {"number": 80, "name": "http"}, "hosts": ["*"]}]}),
        ("AuthorizationPolicy", {"action": "MAYBE"}),
        ("AuthorizationPolicy", {"rules": [{"when": [{"values": ["a"]}]}]}),
        (
            "AuthorizationPolicy",
            {"selector": {"matchLabels": {"a": "b"}}, "targetRef": {"kind": "Gateway", "name": "a"}},
        ),
        ("PeerAuthentication", {"mtls": {"mode": "SOMETIMES"}}),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwks": "{}", "jwksUri": "https://a"}]}),
        ("WasmPlugin", {"sha256": "a"}),
    ],
)
def test_what_cannot_mean_anything_is_refused(kind: str, spec: dict[str, Any]) -> None:
    assert not _accepts(kind, spec)


def test_definitions_are_new_values_each_time() -> None:
    custom_resource_definitions()[0]["spec"].clear()
    assert custom_resource_definitions()[0]["spec"]
