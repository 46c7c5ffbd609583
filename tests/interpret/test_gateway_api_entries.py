"""Routes of the Gateway API that are attached to what is outside: parentRefs of kind ServiceEntry and Hostname."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from small_mesh import inputs

from kaiki.interpret.interpretation import interpret
from kaiki.model.route import Forward

MESH = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com, more.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
kind: Workload
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: by-the-gateway, namespace: shop}
spec:
  parentRefs: [PARENT]
  rules: [{backendRefs: [{name: cart, port: 8080}]}]
"""


@pytest.mark.parametrize(
    ("parent", "hosts"),
    [
        ("{group: networking.istio.io, kind: ServiceEntry, name: books}", {"books.example.com", "more.example.com"}),
        ("{group: networking.istio.io, kind: Hostname, name: more.example.com}", {"more.example.com"}),
        ("{group: networking.istio.io, kind: ServiceEntry, name: films}", set()),
    ],
)
def test_a_route_takes_over_the_hosts(parent: str, hosts: set[str]) -> None:
    found = interpret(inputs([one for one in yaml.safe_load_all(MESH.replace("PARENT", parent)) if one]))
    mesh = found.gateway_api.mesh
    assert {host for item in mesh for host in item.hosts} == hosts
    for item in mesh:
        action = item.http[0].action
        assert isinstance(action, Forward)
        assert action.destinations[0].destination.host == "cart.shop.svc.cluster.local"
    text = repr(found.gateway_api.statuses["HTTPRoute", "shop", "by-the-gateway"])
    assert ("NoMatchingParent" in text) is not bool(hosts)


def test_a_host_that_another_entry_takes_over() -> None:
    parent = "{group: networking.istio.io, kind: ServiceEntry, name: books}"
    text = MESH.replace("PARENT", parent)

    def mesh(name: str) -> dict[tuple[str, str, str], Any]:
        documents = yaml.safe_load_all(text.replace("{name: books,", f"{{name: {name},"))
        return dict(inputs([one for one in documents if one]))

    before = interpret(mesh("films"))
    assert not before.gateway_api.mesh
    # The services are the same ones: only whose they are has changed.
    after = interpret(mesh("books"), before)
    assert {host for item in after.gateway_api.mesh for host in item.hosts} == {"books.example.com", "more.example.com"}
