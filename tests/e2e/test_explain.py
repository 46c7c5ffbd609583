"""What is explained is what Envoy does: the same requests, asked of the console and sent through the gateway."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from mesh import CommandError, Mesh, wait_until

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


ANSWER = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: waited, namespace: default}}
spec:
  hosts: [waited.example.org]
  gateways: [{gateway}]
  http: [{{directResponse: {{status: {status}}}}}]
"""


def test_what_was_waited_for_is_in_force(bookinfo: Mesh) -> None:
    for status in (201, 202, 203, 204, 205):
        bookinfo.kubectl("apply", "-f", "-", given=ANSWER.format(gateway="bookinfo-gateway", status=status))
        said = bookinfo.kaiki("wait", "--for=distribution", "vs/waited")
        assert "VirtualService default/waited is in force at 1 of 1 proxies" in said
        assert bookinfo.get(f"{bookinfo.gateway}/", {"Host": "waited.example.org"})[0] == status
    known = json.loads(bookinfo.kaiki("status", "-o", "json"))["configuration"]
    mine = next(one for one in known if one["name"] == "waited")
    assert (mine["acknowledged"], mine["proxies"], mine["waiting"]) == (1, 1, [])
    assert "VirtualService default/waited" in bookinfo.kaiki("status")


def test_waiting_for_what_cannot_come_says_why(bookinfo: Mesh) -> None:
    bookinfo.kubectl("apply", "-f", "-", given=ANSWER.format(gateway="nobody", status=200).replace("waited", "lost"))
    with pytest.raises(CommandError, match=r"exit code 1(.|\n)*no proxy has anything of it\n  KAI0202"):
        bookinfo.kaiki("wait", "virtualservice/lost", "--timeout", "2")
    with pytest.raises(
        CommandError, match=r'exit code 1(.|\n)*virtualservices.networking.istio.io "nothing" not found'
    ):
        bookinfo.kaiki("wait", "virtualservice/nothing")
    with pytest.raises(CommandError, match=r"exit code 1(.|\n)*'pod' is no kind"):
        bookinfo.kaiki("wait", "pod/x")
