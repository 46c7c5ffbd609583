"""Istio's option on a listener of the Gateway API that makes it verify its clients."""

from __future__ import annotations

import yaml
from small_mesh import inputs

from kaiki.interpret.credentials import shared_credentials, wanted_credentials
from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.model.gateway import ServerTlsMode

MESH = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: istio
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    tls:
      certificateRefs: [{name: pair}]
      options: {gateway.istio.io/tls-terminate-mode: MODE}
"""


def interpreted(mode: str) -> Interpretation:
    return interpret(inputs([one for one in yaml.safe_load_all(MESH.replace("MODE", mode)) if one]))


def test_clients_are_verified_by_the_same_secret() -> None:
    found = interpreted("MUTUAL")
    (server,) = [server for one in found.snapshot.gateways for server in one.servers]
    assert server.tls is not None and server.tls.mode is ServerTlsMode.MUTUAL
    assert server.tls.roots_from == "pair"
    assert {("shop", "pair"), ("shop", "pair-cacert")} <= wanted_credentials(found.snapshot)
    assert {name for _, name, _ in shared_credentials(found.snapshot)} == {"pair", "pair-cacert"}


def test_simple_verifies_nobody() -> None:
    (server,) = [server for one in interpreted("SIMPLE").snapshot.gateways for server in one.servers]
    assert server.tls is not None and server.tls.mode is ServerTlsMode.SIMPLE and not server.tls.roots_from


def test_what_is_no_mode_is_not_accepted() -> None:
    found = interpreted("EVERYBODY")
    assert not found.snapshot.gateways
    assert "is EVERYBODY, not one of SIMPLE, MUTUAL, OPTIONAL_MUTUAL, ISTIO_MUTUAL" in repr(found.gateway_api.statuses)


def test_the_mesh_has_certificates_of_its_own() -> None:
    found = interpreted("ISTIO_MUTUAL")
    (server,) = [server for one in found.snapshot.gateways for server in one.servers]
    assert server.tls is not None and server.tls.mode is ServerTlsMode.ISTIO_MUTUAL
    assert not server.tls.secrets
