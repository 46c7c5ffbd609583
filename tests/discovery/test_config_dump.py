"""/debug/config_dump: what one proxy has been told, for readers with the right token, and never a key."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import aiohttp
import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from kaiki.authority.authority import CertificateAuthority, new_root
from kaiki.discovery.authentication import DEBUG_AUDIENCE, Caller, TokenAuthenticator, Unauthenticated
from kaiki.discovery.config_dump import describe_configuration, without_keys
from kaiki.discovery.configs import Configs
from kaiki.discovery.metrics import Metrics
from kaiki.discovery.monitoring import MonitoringServer
from kaiki.discovery.secrets import certificate_secret, versioned_secret
from kaiki.discovery.session import Session
from kaiki.discovery.wire import DiscoveryRequest
from kaiki.model.proxy import CLUSTER_TYPE, SECRET_TYPE

from .mesh_of_one import SNAPSHOT, WORKLOAD, cluster, config


def session(*subscribed: str) -> Session:
    """A proxy that has asked for clusters and for its certificate."""
    configs = Configs(lambda *_: config(cluster("a"), cluster("b")), Metrics())
    configs.publish(SNAPSHOT, 0.0)
    authority = CertificateAuthority(new_root(datetime.datetime.now(datetime.UTC)))
    found = Session(configs.proxy_of(WORKLOAD), configs, authority, Metrics())
    found.receive(DiscoveryRequest(type_url=CLUSTER_TYPE))
    found.receive(DiscoveryRequest(type_url=SECRET_TYPE, subscribe=("default", "ROOTCA")))
    assert list(found.responses())
    return found


def told(found: Session) -> dict[str, Any]:
    return {entry["name"]: entry for entry in describe_configuration(found)["resources"]}


def test_states_are_told_resource_by_resource() -> None:
    found = session()
    assert {entry["state"] for entry in told(found).values()} == {"waiting"}
    found.receive(DiscoveryRequest(type_url=CLUSTER_TYPE, nonce=nonce_of(found, CLUSTER_TYPE)))
    states = {name: entry["state"] for name, entry in told(found).items()}
    assert states == {"a": "acknowledged", "b": "acknowledged", "default": "waiting", "ROOTCA": "waiting"}


def nonce_of(found: Session, type_url: str) -> str:
    pending = found.stream.watches[type_url].pending
    assert pending is not None
    return pending.nonce


@pytest.mark.parametrize("acknowledged", [False, True])
def test_certificates_are_shown_and_keys_are_not(acknowledged: bool) -> None:
    found = session()
    if acknowledged:  # The key is dropped then, and what is left of the secret is its version.
        found.receive(DiscoveryRequest(type_url=SECRET_TYPE, nonce=nonce_of(found, SECRET_TYPE)))
        list(found.responses())
    entries = told(found)
    secret = secret_pb2.Secret.FromString(base64.b64decode(entries["default"]["body"]))
    assert b"BEGIN CERTIFICATE" in secret.tls_certificate.certificate_chain.inline_bytes
    assert not secret.tls_certificate.HasField("private_key")
    assert all(b"PRIVATE KEY" not in base64.b64decode(entry["body"]) for entry in entries.values())
    roots = secret_pb2.Secret.FromString(base64.b64decode(entries["ROOTCA"]["body"]))
    assert b"BEGIN CERTIFICATE" in roots.validation_context.trusted_ca.inline_bytes


def test_of_a_gateways_secret_the_chain_alone_is_left() -> None:
    name = "kubernetes://shop-cert"
    shown = without_keys(versioned_secret(name, certificate_secret(b"the chain", b"the key", name)))
    assert b"the chain" in shown and b"the key" not in shown


async def review(token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
    if token not in ("console", "stranger") or audiences != (DEBUG_AUDIENCE,):
        return {"authenticated": False, "error": "not for this"}
    namespace = "istio-system" if token == "console" else "shop"
    extra = {"authentication.kubernetes.io/pod-name": ["x"], "authentication.kubernetes.io/pod-uid": ["1"]}
    return {"authenticated": True, "user": {"username": f"system:serviceaccount:{namespace}:x", "extra": extra}}


async def admit(headers: Any) -> Caller:
    caller = await TokenAuthenticator(review, audience=DEBUG_AUDIENCE).authenticate(headers)
    if caller.namespace != "istio-system":
        raise Unauthenticated("elsewhere")
    return caller


@pytest.mark.parametrize(
    ("token", "proxy", "status"),
    [
        ("console", "web-1.shop", 200),
        ("console", "web-2.shop", 404),
        ("stranger", "web-1.shop", 401),
        ("istio-ca", "web-1.shop", 401),
        ("", "web-1.shop", 401),
    ],
)
async def test_only_the_mesh_itself_may_read(token: str, proxy: str, status: int) -> None:
    def describe(name: str) -> dict[str, Any] | None:
        return {"proxy": name} if name == "web-1.shop" else None

    server = MonitoringServer(Metrics(), list, lambda: True, list, describe, admit)
    port = await server.start("127.0.0.1", 0)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{port}/debug/config_dump"
        async with (
            aiohttp.ClientSession() as client,
            client.get(url, params={"proxyID": proxy}, headers=headers) as got,
        ):
            assert got.status == status
    finally:
        await server.stop()
