"""The tables of `kaiki proxy-config`, from what an Envoy's config_dump looks like."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kaiki.app.proxy_dump import PARTS, _body
from kaiki.cli.main import root
from kaiki.cli.proxy_config import _place

_TYPE = "type.googleapis.com/envoy.admin.v3."
ORIGIN = {
    "filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews"}}
}


def _certificate(days: int) -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    begins = now - timedelta(days=10)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(171).not_valid_before(begins).not_valid_after(now + timedelta(days=days))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode()


def _secret(name: str, days: int) -> dict[str, Any]:
    return {"name": name, "secret": {"tls_certificate": {"certificate_chain": {"inline_bytes": _certificate(days)}}}}


LISTENER = {
    "name": "0.0.0.0_443",
    "address": {"socket_address": {"address": "0.0.0.0", "port_value": 443}},
    "filter_chains": [
        {
            "filter_chain_match": {"server_names": ["a.org"], "transport_protocol": "tls"},
            "filters": [{"typed_config": {"stat_prefix": "a", "cluster": "outbound|443||a.org"}}],
        },
        {"filters": [{"typed_config": {"rds": {"route_config_name": "443"}}}]},
    ],
}
ENDPOINT = {"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 9080}}}}
DUMP: dict[str, Any] = {
    "configs": [
        {
            "@type": f"{_TYPE}ClustersConfigDump",
            "static_clusters": [{"cluster": {"name": "admin", "type": "STATIC"}}],
            "dynamic_active_clusters": [
                {"cluster": {"name": "outbound|9080|v1|reviews.shop", "type": "EDS", "metadata": ORIGIN}},
                {"cluster": {"name": "outbound|443||*.org", "cluster_type": {"name": "envoy.cluster.dns"}}},
            ],
        },
        {
            "@type": f"{_TYPE}ListenersConfigDump",
            "dynamic_listeners": [{"active_state": {"listener": LISTENER}}, {"error_state": {}}],
        },
        {
            "@type": f"{_TYPE}RoutesConfigDump",
            "dynamic_route_configs": [
                {
                    "route_config": {
                        "name": "9080",
                        "virtual_hosts": [
                            {
                                "name": "reviews:9080",
                                "domains": ["reviews", "reviews.shop"],
                                "routes": [{"match": {"prefix": "/"}, "metadata": ORIGIN}, {"match": {"path": "/x"}}],
                            }
                        ],
                    }
                }
            ],
        },
        {
            "@type": f"{_TYPE}EndpointsConfigDump",
            "dynamic_endpoint_configs": [
                {"endpoint_config": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [ENDPOINT]}]}}
            ],
        },
        {
            "@type": f"{_TYPE}SecretsConfigDump",
            "dynamic_active_secrets": [_secret("good", 5), _secret("old", -5)],
            "dynamic_warming_secrets": [{"name": "awaited"}],
        },
    ]
}


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (
            "cluster",
            [
                ["admin", "-", "-", "-", "STATIC", "-"],
                ["*.org", "443", "-", "outbound", "dns", "-"],
                ["reviews.shop", "9080", "v1", "outbound", "EDS", "reviews.shop"],
            ],
        ),
        (
            "listener",
            [
                ["0.0.0.0", "443", "SNI: a.org; Trans: tls", "Cluster: outbound|443||a.org"],
                ["0.0.0.0", "443", "ALL", "Route: 443"],
            ],
        ),
        (
            "route",
            [
                ["9080", "reviews:9080", "reviews + 1 more", "/*", "reviews.shop"],
                ["9080", "reviews:9080", "reviews + 1 more", "/x", "-"],
            ],
        ),
        ("endpoint", [["10.0.0.1:9080", "HEALTHY", "c"]]),
    ],
)
def test_a_table(part: str, wanted: list[list[str]]) -> None:
    title, *rows = PARTS[part](DUMP)
    assert rows == wanted
    assert {len(row) for row in rows} == {len(title)}


def test_certificates() -> None:
    _, good, old, awaited = PARTS["secret"](DUMP)
    assert good[:5] == ["good", "Cert Chain", "ACTIVE", "true", "ab"]
    assert old[3] == "false"
    assert awaited == ["awaited", "Cert Chain", "WARMING", "false", "-", "-", "-"]


def test_an_answer_in_chunks() -> None:
    assert _body(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") == b"{}"


def test_how_a_proxy_is_named() -> None:
    assert _place("web-1.shop", "") == ("web-1", "shop")
    assert _place("web-1.shop", "other") == ("web-1.shop", "other")
    assert _place("deploy/web", "") == ("deploy/web", "default")


@pytest.mark.parametrize(
    "words", [["-n", "shop", "proxy-config", "route", "web-1"], ["proxy-config", "route", "web-1.shop"]]
)
def test_the_namespace_may_come_first(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    asked: list[tuple[str, str]] = []

    def read(_program: str, _environment: object, namespace: str, target: str) -> object:
        asked.append((namespace, target))
        return DUMP

    monkeypatch.setattr("kaiki.app.proxy_dump.read_dump", read)
    done = CliRunner(env={"KUBECONFIG": "/nowhere"}).invoke(root, words)
    assert "reviews:9080" in done.output
    assert asked == [("shop", "web-1")]
