"""What is explained is what Envoy does: the same requests, asked of the console and sent through the gateway."""

from __future__ import annotations

import urllib.parse

import pytest
from mesh import Mesh, wait_until

pytestmark = pytest.mark.e2e

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: explained, namespace: default}
spec:
  hosts: [explained.example.org]
  gateways: [bookinfo-gateway]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: productpage, port: {number: 9080}}}]
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {prefix: /productpage}}]
    route: [{destination: {host: productpage, port: {number: 9080}}}]
"""
HOST = "explained.example.org"


def explain(mesh: Mesh, source: str, url: str, header: str = "", namespace: str = "istio-system") -> dict[str, object]:
    query = urllib.parse.urlencode({"namespace": namespace, "source": source, "url": url, "header": header})
    answer: dict[str, object] = mesh.console(f"/api/explain?{query}")
    return answer


def test_what_is_explained_is_what_envoy_does(bookinfo: Mesh) -> None:
    bookinfo.kubectl("apply", "-f", "-", given=RULES)

    def status(path: str, **headers: str) -> int:
        return bookinfo.get(bookinfo.gateway + path, {"Host": HOST, **headers})[0]

    wait_until(lambda: status("/productpage") == 200, "the rules are in force")
    wait_until(
        lambda: explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/productpage")["verdict"] == "forwarded",
        "the console knows the rules",
    )
    abort = explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/productpage", "end-user: jason")
    assert (abort["verdict"], abort["status"]) == ("answered", status("/productpage", **{"end-user": "jason"}))
    none = explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/nothing")
    assert (none["verdict"], none["status"]) == ("no route", status("/nothing"))
    assert len(none["passedOver"]) == 3  # type: ignore[arg-type]
    text = bookinfo.kaiki("explain", "request", "-n", "istio-system", "istio-ingressgateway", f"http://{HOST}/old")
    assert "VirtualService default/explained spec.http[1]" in text and f"http://{HOST}/new" in text
    inner = explain(bookinfo, "productpage", "http://reviews:9080/reviews/1", namespace="default")
    assert inner["clusters"][0]["cluster"] == "outbound|9080||reviews.default.svc.cluster.local"  # type: ignore[index]
    assert inner["clusters"][0]["endpoints"]  # type: ignore[index]
