"""Who is given the Secrets that Gateways name: gateways of their namespace, and nobody else."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from kaiki.authority.authority import CertificateAuthority, new_root
from kaiki.discovery.configs import Configs
from kaiki.discovery.metrics import Metrics
from kaiki.discovery.secrets import ProxySecrets
from kaiki.discovery.stream import Stream
from kaiki.discovery.wire import DiscoveryRequest
from kaiki.model.proxy import SECRET_TYPE, Proxy, ProxyConfig
from kaiki.model.workload import ProxyKind

from .mesh_of_one import WORKLOAD


class Store:
    """One pair and its roots, in one namespace."""

    def pair(self, namespace: str, name: str) -> tuple[bytes, bytes] | None:
        return (b"certificate", b"key") if (namespace, name) == ("shop", "one") else None

    def roots(self, namespace: str, name: str) -> bytes | None:
        return b"roots" if (namespace, name) == ("shop", "one") else None

    def is_shared(self, namespace: str, name: str, reader: str) -> bool:
        return False

    def may_read(self, namespace: str, name: str, service_account: str) -> bool:
        return (namespace, name) == ("shop", "one") and service_account == "trusted"


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority(new_root(datetime.datetime.now(datetime.UTC)))


def proxy(kind: ProxyKind, namespace: str = "shop") -> Proxy:
    configs = Configs(lambda *_: ProxyConfig({}), Metrics())
    return dataclasses.replace(configs.proxy_of(WORKLOAD), kind=kind, namespace=namespace)


def given(authority: CertificateAuthority, asker: Proxy, *names: str) -> dict[str, bytes]:
    stream = Stream()
    stream.receive(DiscoveryRequest(type_url=SECRET_TYPE, subscribe=names))
    table = ProxySecrets(authority, Store()).table(asker, stream)
    return {name: resource.body for name, resource in table.items()}


NAMES = ("kubernetes://one", "kubernetes://one-cacert", "kubernetes://other")


def test_a_gateway_is_given_what_gateways_name_in_its_namespace(authority: CertificateAuthority) -> None:
    found = given(authority, proxy(ProxyKind.GATEWAY), *NAMES)
    assert set(found) == set(NAMES[:2])
    assert b"key" in found["kubernetes://one"]
    assert b"roots" in found["kubernetes://one-cacert"]


def test_nobody_else_is(authority: CertificateAuthority) -> None:
    assert given(authority, proxy(ProxyKind.SIDECAR), *NAMES) == {}
    assert given(authority, proxy(ProxyKind.GATEWAY, "elsewhere"), *NAMES) == {}
    assert given(authority, proxy(ProxyKind.GATEWAY), "kubernetes://shop/one") == {}


def test_a_sidecar_is_given_what_a_rule_names_for_it_if_its_account_may_read(authority: CertificateAuthority) -> None:
    asker = proxy(ProxyKind.SIDECAR)
    trusted = dataclasses.replace(asker, identity=dataclasses.replace(asker.identity, service_account="trusted"))
    assert set(given(authority, trusted, *NAMES)) == set(NAMES[:2])
    elsewhere = dataclasses.replace(trusted, namespace="bank")
    assert given(authority, elsewhere, *NAMES) == {}
