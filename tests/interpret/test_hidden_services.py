"""A Service that is not exported leaves its name to ServiceEntries of other namespaces."""

from __future__ import annotations

import pytest
import yaml
from small_mesh import inputs

from kaiki.interpret.interpretation import interpret

MESH = """
apiVersion: v1
kind: Service
metadata: {name: nginx, namespace: outside, annotations: {networking.istio.io/exportTo: EXPORT}}
spec: {clusterIP: 10.96.7.7, ports: [{port: 443}], selector: {run: nginx}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nginx, namespace: NAMESPACE}
spec:
  hosts: [nginx.outside.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
"""


@pytest.mark.parametrize(
    ("export", "namespace", "ports"),
    [("'.'", "shop", [80]), ("'*'", "shop", [443]), ("'.'", "outside", [443])],
)
def test_the_entry_takes_the_name_of_a_service_nobody_else_sees(export: str, namespace: str, ports: list[int]) -> None:
    text = MESH.replace("EXPORT", export).replace("NAMESPACE", namespace)
    snapshot = interpret(inputs([one for one in yaml.safe_load_all(text) if one])).snapshot
    service = snapshot.services["nginx.outside.svc.cluster.local"]
    assert [port.number for port in service.ports] == ports
