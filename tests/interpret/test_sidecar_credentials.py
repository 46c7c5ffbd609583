"""Secrets that DestinationRules name for the sidecars they select."""

from __future__ import annotations

from typing import Any

import yaml
from small_mesh import inputs

from kaiki.interpret.credentials import CREDENTIAL, sidecar_credentials, wanted_credentials
from kaiki.interpret.interpretation import Interpretation, interpret

MESH = """
kind: Workload
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: shop}
spec:
  hosts: [bank.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bank, namespace: shop}
spec:
  host: bank.example.com
  SELECTOR
  trafficPolicy:
    portLevelSettings: [{port: {number: 80}, tls: {mode: MUTUAL, credentialName: client}}]
"""
SELECTED = "workloadSelector: {matchLabels: {app: cart}}"


def interpreted(selector: str, *credentials: dict[str, Any]) -> Interpretation:
    objects = [one for one in yaml.safe_load_all(MESH.replace("SELECTOR", selector)) if one]
    found = inputs(objects)
    kind = {(CREDENTIAL, "shop", one["metadata"]["name"]): one for one in credentials}
    return interpret(found.with_kind(CREDENTIAL, kind) if credentials else found)


def test_only_a_rule_with_a_selector_gives_sidecars_secrets() -> None:
    chosen = interpreted(SELECTED).snapshot
    assert {(space, name) for space, name, _ in sidecar_credentials(chosen)} == {("shop", "client")}
    assert wanted_credentials(chosen) == {("shop", "client"), ("shop", "client-cacert")}
    assert not sidecar_credentials(interpreted("exportTo: ['*']").snapshot)
