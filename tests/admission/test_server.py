"""The webhooks over real TLS, as the API server calls them."""

import base64
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from kaiki.admission.server import Webhooks, WebhookServer
from kaiki.authority.authority import CertificateAuthority, new_root
from kaiki.model.finding import Finding, ObjectRef, Severity

Call = Callable[[str, Any], Awaitable[tuple[int, dict[str, Any]]]]
REFERENCE = ObjectRef("VirtualService", "shop", "cart")


def inject(pod: Mapping[str, Any], namespace_labels: Mapping[str, str]) -> dict[str, Any] | None:
    if pod["metadata"].get("name") == "broken":
        raise RuntimeError("no bootstrap")
    if namespace_labels.get("istio-injection") != "enabled":
        return None
    assert pod["metadata"]["namespace"] == "shop"
    spec = pod["spec"]
    return {**pod, "spec": {**spec, "initContainers": [{"name": "istio-proxy"}, *spec.get("initContainers", [])]}}


def check(obj: Mapping[str, Any]) -> list[Finding]:
    findings = []
    if "spec" not in obj:
        hint = "Add the host the routes are for."
        findings.append(Finding("KAI1", Severity.ERROR, REFERENCE, "spec.hosts", "There is no host.", hint))
    if obj.get("odd"):
        findings.append(Finding("KAI2", Severity.WARNING, REFERENCE, "spec.http", "Nothing is routed there."))
    return findings


@pytest.fixture
async def counts() -> dict[str, float]:
    return {}


@pytest.fixture
async def call(counts: dict[str, float]) -> AsyncGenerator[Call, None]:
    authority = CertificateAuthority(new_root(datetime.now(UTC)))

    async def labels(namespace: str) -> Mapping[str, str]:
        return {"istio-injection": "enabled"} if namespace == "shop" else {}

    def count(name: str, amount: float = 1, **_: str) -> None:
        counts[name] = counts.get(name, 0) + amount

    server = WebhookServer(Webhooks(inject, labels, check, count).application())
    pair = authority.serving_pair()
    server.use(pair.certificate_pem, pair.key_pem)
    port = await server.start("127.0.0.1", 0)
    context = ssl.create_default_context(cadata=authority.root_certificates.decode())
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post(path: str, body: Any) -> tuple[int, dict[str, Any]]:
            url = f"https://127.0.0.1:{port}{path}"
            async with session.post(url, json=body, server_hostname="istiod.istio-system.svc") as answer:
                return answer.status, await answer.json()

        yield post
    await server.stop()


def review(obj: dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
    request = {
        "uid": "u-1",
        "operation": "CREATE",
        "namespace": namespace,
        "resource": {"resource": "pods"},
        "object": obj,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


async def test_a_pod_is_injected_by_a_patch(call: Call, counts: dict[str, float]) -> None:
    pod = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app"}]}}
    status, answer = await call("/inject", review(pod))
    response = answer["response"]
    assert (status, response["uid"], response["allowed"], response["patchType"]) == (200, "u-1", True, "JSONPatch")
    assert json.loads(base64.b64decode(response["patch"])) == [
        {"op": "add", "path": "/spec/initContainers", "value": [{"name": "istio-proxy"}]}
    ]
    assert counts == {"sidecar_injection_requests_total": 1, "sidecar_injection_success_total": 1}


async def test_a_pod_elsewhere_stays_as_it_is(call: Call) -> None:
    _, answer = await call("/inject", review({"metadata": {}, "spec": {}}, "other"))
    assert answer["response"] == {"uid": "u-1", "allowed": True}


async def test_a_failure_is_told_to_who_created_the_pod(call: Call, counts: dict[str, float]) -> None:
    _, answer = await call("/inject", review({"metadata": {"name": "broken"}, "spec": {}}))
    assert answer["response"]["allowed"] is False
    assert "no bootstrap" in answer["response"]["status"]["message"]
    assert counts["sidecar_injection_failure_total"] == 1


async def test_errors_deny_and_say_the_way_out(call: Call) -> None:
    _, answer = await call("/validate", review({"odd": True}))
    response = answer["response"]
    message = "VirtualService shop/cart: spec.hosts: There is no host. Add the host the routes are for. [KAI1]"
    assert response["allowed"] is False and response["status"]["message"] == message
    assert response["warnings"] == ["VirtualService shop/cart: spec.http: Nothing is routed there. [KAI2]"]


async def test_warnings_do_not_deny(call: Call) -> None:
    _, answer = await call("/validate", review({"spec": {}, "odd": True}))
    assert answer["response"]["allowed"] is True and len(answer["response"]["warnings"]) == 1


@pytest.mark.parametrize("body", [[], {}, {"kind": "AdmissionReview"}, {"kind": "AdmissionReview", "request": {}}])
async def test_what_is_no_review_is_refused(call: Call, body: Any) -> None:
    status, answer = await call("/validate", body)
    assert status == 400 and "AdmissionReview" in answer["error"]


async def test_what_was_written_a_moment_ago_is_waited_for_before_a_warning() -> None:
    """`kubectl apply` of a Gateway and its VirtualService: the second must not be told that the first is not there."""
    known: list[str] = []
    looks: list[int] = []

    def check_again(obj: Mapping[str, Any]) -> list[Finding]:
        looks.append(len(known))
        missing = Finding("KAI0202", Severity.WARNING, REFERENCE, "spec.gateways[0]", "There is no Gateway.")
        return [] if known else [missing]

    async def catch_up() -> bool:
        known.append("gateway")
        return True

    async def labels(_: str) -> Mapping[str, str]:
        return {}

    webhooks = Webhooks(inject, labels, check_again, catch_up=catch_up)
    answer = await webhooks._check(review({"spec": {}})["request"])
    assert "warnings" not in answer["response"] and looks == [0, 1]
