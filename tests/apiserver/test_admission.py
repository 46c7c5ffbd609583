"""Admission webhooks, called over TLS through a Service; and logs through the node's socket."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings

Object = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
NAME = "hook.default.svc"


def certificate(folder: Path) -> str:
    """A self-signed certificate for the webhook's Service name; answers its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    pem = signed.public_bytes(form)
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "hook.pem").write_bytes(pem + private)
    return pem.decode()


class Hook:
    """A webhook server: adds a label under /mutate, refuses pods named `bad` under /validate, stalls under /stall until
    it is released.
    """

    def __init__(self, port: int, authority: str) -> None:
        self.port = port
        self.bundle = base64.b64encode(authority.encode()).decode()
        self.seen: list[Object] = []
        self.asked: list[str] = []
        self.released = asyncio.Event()


@pytest.fixture
async def hook(tmp_path: Path) -> AsyncIterator[Hook]:
    async def answer(request: web.BaseRequest) -> web.Response:
        review = orjson.loads(await request.read())["request"]
        server.seen.append(review)
        server.asked.append(request.path_qs)
        if request.path == "/stall":
            await server.released.wait()
        response: Object = {"uid": review["uid"], "allowed": True, "warnings": ["from the hook"]}
        if request.path == "/mutate":
            patch = [{"op": "add", "path": "/metadata/labels", "value": {"hooked": "yes"}}]
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(patch)).decode()}
        elif request.path == "/second":
            patch = [{"op": "add", "path": "/metadata/annotations", "value": {"second": "yes"}}]
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(patch)).decode()}
        elif review["name"] == "bad":
            response |= {"allowed": False, "status": {"message": "no bad pods", "code": 403, "reason": "Forbidden"}}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    authority = certificate(tmp_path)
    server = Hook(0, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "hook.pem")
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    server.released.set()
    await runner.cleanup()


async def configure(api: Any, hook: Hook, kind: str, path: str, **settings: Any) -> None:
    """A Service `hook` that leads to the webhook server, and one webhook that calls it."""
    await api.post(
        "/api/v1/namespaces/default/services",
        {"metadata": {"name": "hook"}, "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8443}]}},
    )
    slice_of_service = {
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": hook.port}],
    }
    await api.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_of_service)
    client = {"service": {"namespace": "default", "name": "hook", "path": path}, "caBundle": hook.bundle}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "pods.hook.example",
        "clientConfig": client,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **settings,
    }
    code, answer = await api.post(
        f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}webhookconfigurations",
        {"metadata": {"name": kind.lower()}, "webhooks": [webhook]},
    )
    assert code == 201, answer


def pod(name: str, **labels: str) -> Object:
    spec = {"containers": [{"name": "main", "image": "web:1"}]}
    return {"metadata": {"name": name, "labels": labels} if labels else {"name": name}, "spec": spec}


async def test_a_mutating_webhook_changes_the_object(api: Any, hook: Hook) -> None:
    await configure(api, hook, "Mutating", "/mutate")
    code, made = await api.post(f"{PODS}?dryRun=All", pod("one"))
    assert (code, made["metadata"]["labels"]) == (201, {"hooked": "yes"})
    assert api.warnings == ['299 - "from the hook"']
    asked = hook.seen[0]
    assert (asked["operation"], asked["namespace"], asked["dryRun"]) == ("CREATE", "default", True)
    assert asked["userInfo"]["username"] == "kaiki-admin"
    assert asked["object"]["spec"]["serviceAccountName"] == "default"


async def test_a_validating_webhook_refuses(api: Any, hook: Hook) -> None:
    await configure(api, hook, "Validating", "/validate")
    assert (await api.post(PODS, pod("good")))[0] == 201
    code, status = await api.post(PODS, pod("bad"))
    assert code == 403
    assert status["message"] == 'admission webhook "pods.hook.example" denied the request: no bad pods'
    assert (await api.get(f"{PODS}/bad"))[0] == 404


async def test_selectors_decide_who_is_asked(api: Any, hook: Hook) -> None:
    namespaces = {"matchLabels": {"hooks": "on"}}
    objects = {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}
    await configure(api, hook, "Mutating", "/mutate", namespaceSelector=namespaces, objectSelector=objects)
    await api.post(PODS, pod("before"))
    await api.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"hooks": "on"}}})
    await api.post(PODS, pod("skipped", skip="1"))
    await api.post(PODS, pod("asked"))
    assert [review["name"] for review in hook.seen] == ["asked"]


@pytest.mark.parametrize(("policy", "calls"), [("IfNeeded", 3), ("Never", 2)])
async def test_a_webhook_looks_again_when_others_have_changed_things(
    api: Any, hook: Hook, policy: str, calls: int
) -> None:
    await configure(api, hook, "Mutating", "/mutate", reinvocationPolicy=policy)
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    _, first = await api.get(f"{path}/mutating")
    (webhook,) = first["webhooks"]
    webhook["clientConfig"]["service"]["path"] = "/second"
    code, _ = await api.post(path, {"metadata": {"name": "second"}, "webhooks": [webhook]})
    assert code == 201
    _, made = await api.post(PODS, pod("one"))
    assert made["metadata"]["labels"] == {"hooked": "yes"}
    assert made["metadata"]["annotations"] == {"second": "yes"}
    assert len(hook.seen) == calls


async def test_conditions_decide_who_is_asked(api: Any, hook: Hook) -> None:
    conditions = [
        {"name": "not-mine", "expression": "!request.userInfo.username.startsWith('system:')"},
        {"name": "named", "expression": "object.metadata.labels['ask'] == 'yes'"},
    ]
    await configure(api, hook, "Mutating", "/mutate", matchConditions=conditions, failurePolicy="Fail")
    assert (await api.post(PODS, pod("asked", ask="yes")))[0] == 201
    assert (await api.post(PODS, pod("spared", ask="no")))[0] == 201
    assert [review["name"] for review in hook.seen] == ["asked"]
    code, status = await api.post(PODS, pod("unclear", other="x"))
    assert code == 500
    assert 'match condition "named": no such key: ask' in status["message"]


async def test_no_dry_run_by_a_webhook_with_side_effects(api: Any, hook: Hook) -> None:
    await configure(api, hook, "Mutating", "/mutate", sideEffects="Some")
    code, status = await api.post(f"{PODS}?dryRun=All", pod("one"))
    assert (code, "does not support dry run" in status["message"]) == (400, True)
    assert hook.seen == []
    assert (await api.post(PODS, pod("one")))[0] == 201


@pytest.mark.parametrize(("policy", "expected"), [("Ignore", 201), ("Fail", 500)])
async def test_the_failure_policy_decides_when_nobody_answers(api: Any, hook: Hook, policy: str, expected: int) -> None:
    await configure(api, hook, "Validating", "/validate", failurePolicy=policy)
    await api.delete("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/hook-1")
    code, status = await api.post(PODS, pod("one"))
    assert code == expected
    if policy == "Fail":
        assert 'failed calling webhook "pods.hook.example"' in status["message"]
        assert 'no endpoints available for service "hook"' in status["message"]


async def test_a_certificate_of_somebody_else_is_refused(api: Any, hook: Hook) -> None:
    other = credentials.authority_certificate(api.home)
    hook.bundle = base64.b64encode(other.encode()).decode()
    await configure(api, hook, "Mutating", "/mutate")
    code, status = await api.post(PODS, pod("one"))
    assert code == 500
    assert "certificate verify failed" in status["message"]
    assert hook.seen == []


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_a_webhook_that_stalls_is_waited_for_as_long_as_it_says(api: Any, hook: Hook, kind: str) -> None:
    """It is released only after the answer: what answers is the time-out."""
    await configure(api, hook, kind, "/stall", timeoutSeconds=1, failurePolicy="Fail")
    code, status = await api.post(PODS, pod("one"))
    assert not hook.released.is_set()
    assert (code, status["reason"]) == (500, "InternalError")
    assert status["message"] == (
        'Internal error occurred: failed calling webhook "pods.hook.example": failed to call webhook: '
        'Post "https://hook.default.svc:443/stall?timeout=1s": context deadline exceeded'
    )
    assert hook.asked == ["/stall?timeout=1s"]
    assert (await api.get(f"{PODS}/one"))[0] == 404


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_a_webhook_that_stalls_and_may_be_ignored(api: Any, hook: Hook, kind: str) -> None:
    await configure(api, hook, kind, "/stall", timeoutSeconds=1, failurePolicy="Ignore")
    code, made = await api.post(PODS, pod("one"))
    assert not hook.released.is_set()
    assert (code, made["metadata"]["name"], len(hook.seen)) == (201, "one", 1)


async def test_a_webhook_that_does_not_even_shake_hands(api: Any, hook: Hook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hook.port = deaf.getsockname()[1]
        await configure(api, hook, "Validating", "/validate", timeoutSeconds=1)
        code, status = await api.post(PODS, pod("one"))
    assert (code, status["message"].endswith('validate?timeout=1s": context deadline exceeded')) == (500, True)


@pytest.mark.parametrize(("seconds", "allowed"), [(0, False), (1, True), (30, True), (31, False)])
async def test_how_long_a_webhook_may_take_is_bounded(api: Any, hook: Hook, seconds: int, allowed: bool) -> None:
    webhook = {
        "name": "pods.hook.example", "clientConfig": {"url": "https://hook.example"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "timeoutSeconds": seconds,
    }  # fmt: skip
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    code, answer = await api.post(path, {"metadata": {"name": "bounds"}, "webhooks": [webhook]})
    assert code == (201 if allowed else 422), answer
    if not allowed:
        assert "webhooks[0].timeoutSeconds" in answer["message"]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Path]:
    """A node's socket that answers every log request with what was asked."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(f"{request.path_qs}\n".encode())
        return response

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "node.sock")).start()
    yield tmp_path / "node.sock"
    await runner.cleanup()


async def test_logs_come_from_the_node(tmp_path: Path, node: Path) -> None:
    settings = ApiServerSettings(home=tmp_path, listen_addresses=(("127.0.0.1", 0),), node_socket=node)
    async with ApiServer(settings) as server:
        context = ssl.create_default_context(cadata=credentials.authority_certificate(tmp_path))
        headers = {"Authorization": f"Bearer {credentials.admin_token(tmp_path)}"}
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            url = f"https://127.0.0.1:{server.ports[0]}{PODS}"
            made = pod("one")
            made["spec"]["nodeName"] = "kaiki"
            await read(session.post, url, json=made)
            text = await read(session.get, f"{url}/one/log?follow=true&tailLines=5")
            assert text == "/containerLogs/default/one/main?follow=true&tailLines=5\n"


async def read(method: Callable[..., Any], url: str, **options: Any) -> str:
    async with method(url, **options) as response:
        text: str = await response.text()
        return text
