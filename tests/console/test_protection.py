"""What every answer keeps to: other sites change nothing, nothing secret is shown or logged, no page is framed."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib import resources
from typing import Any

import aiohttp
import fake_mesh
import pytest

from kaiki.console.identity import Identity
from kaiki.console.oidc.sessions import Person
from kaiki.console.oidc.settings import OidcSettings
from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.kube.config import KubeConfig

TOKEN = "a-token-for-tests"
PASSWORD = "hunter2-in-an-environment"
DOCUMENT: dict[str, Any] = json.loads(resources.files("kaiki.console").joinpath("openapi.json").read_bytes())
EXAMPLES = {
    "namespace": "default",
    "name": "reviews-v3",
    "app": "reviews",
    "pod": "reviews-v3-abc-1",
    "container": "app",
    "kind": "workload",
    "id": "1",
    "traceId": "1",
    "what": "services",
}


QUERIES = {
    "/api/events": "?graph=true",
    "/api/series": "?node=workload:default/reviews-v3",
    "/api/heat": "?node=workload:default/reviews-v3",
    "/api/health": "?node=workload:default/reviews-v3",
    "/api/logs": "?namespace=default&pod=reviews-v3-abc-1&container=app&tail=5",
    "/api/graph/compare": "?baseline=5m",
    "/api/explain": "?namespace=default&workload=reviews-v3&url=http://ratings:9080/",
    "/api/config/object": "?apiVersion=networking.istio.io/v1&kind=VirtualService&namespace=default&name=reviews",
}


class Console:
    """A console over a made-up mesh whose pods have a password, and somebody who is logged in there."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def ask(self, method: str, path: str, **rest: Any) -> tuple[int, str]:
        async with self.session.request(method, self.url + path, **rest) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    api = fake_mesh.FakeKubernetes(base64.b64encode(TOKEN.encode()).decode())
    for pod in api.collections["pods"]:
        pod["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": PASSWORD}]
        pod["metadata"].setdefault("annotations", {})["kubectl.kubernetes.io/last-applied-configuration"] = PASSWORD
    for routes in api.collections["virtualservices"]:
        routes |= {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    async with AsyncExitStack() as stack:
        parts = (fake_mesh.FakePrometheus(), api, fake_mesh.FakeControlPlane(), fake_mesh.FakeTraces())
        urls = [await stack.enter_async_context(fake_mesh.listening(part.application())) for part in parts]
        settings = ConsoleSettings(
            listen=("127.0.0.1", 0),
            metrics_url=urls[0],
            kube=KubeConfig(server=urls[1], token="of-the-console"),
            control_plane_url=urls[2],
            tracing_url=urls[3],
            token=TOKEN,
        )
        host, port = await stack.enter_async_context(running(settings))
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
        found = Console(f"http://{host}:{port}", session)
        assert (await found.ask("POST", "/login", data={"token": TOKEN}))[0] == 200
        yield found


def operations(*methods: str) -> list[tuple[str, str]]:
    return [(method, path) for path, found in DOCUMENT["paths"].items() for method in found if method in methods]


async def test_no_other_site_changes_anything(console: Console) -> None:
    """The session's cookie would be sent by another port of the same host: SameSite knows no ports."""
    port = re.sub(r":\d+$", ":1", console.url)
    origins = [{"Origin": one} for one in ("https://evil.example", port, "null")]
    changing = operations("post", "put", "delete", "patch")
    assert len(changing) >= 9
    for method, path in changing:
        for headers in (*origins, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            status, text = await console.ask(method, path, json={}, headers=headers)
            assert status in (401, 403), (path, headers, text)


async def test_nothing_secret_is_in_any_answer(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaiki.console.events.LONGEST_SECONDS", 0.1)
    secrets = (TOKEN, base64.b64encode(TOKEN.encode()).decode(), PASSWORD, "of-the-console", "PRIVATE KEY")
    answered = 0
    for method, path in operations("get"):
        asked = path
        for name in re.findall(r"{(\w+)}", path):
            asked = asked.replace(f"{{{name}}}", EXAMPLES[name])
        status, text = await console.ask(method, asked + QUERIES.get(path, ""))
        assert status < 500 or status == 503, text
        answered += status == 200
        assert not [secret for secret in secrets if secret in text], path
    assert answered >= 20, "most of them have something to tell"


async def test_only_mesh_objects_are_read_through_the_editor(console: Console) -> None:
    for kind in ("Secret", "ConfigMap", "Pod", "ServiceAccount"):
        place = f"apiVersion=v1&kind={kind}&namespace=istio-system&name=kaiki-console"
        status, text = await console.ask("GET", f"/api/config/object?{place}")
        assert status == 400 and "is no mesh object" in text


async def test_every_answer_says_what_browsers_may_do_with_it(console: Console) -> None:
    for path in ("/login", "/graph", "/api/me", "/api/nothing", "/healthz", "/login?code=used"):
        async with console.session.get(console.url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer", "addresses may hold login codes"


async def test_logs_hold_no_token(console: Console, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"Kaiki-Kubernetes-Token": "of-somebody", "Authorization": f"Bearer {TOKEN}"}
    await console.ask("GET", "/api/me", headers=headers)
    await console.ask("POST", "/api/identity", json={"token": "of-somebody"}, headers=headers)
    await console.ask("POST", "/login", data={"token": "a-wrong-one"})
    for secret in (TOKEN, "of-somebody", "a-wrong-one", "of-the-console"):
        assert secret not in caplog.text


def test_what_is_printed_by_mistake_holds_no_token() -> None:
    person = Person("42", "jane", (), 0, 0, id_token="id-secret", refresh_token="refresh-secret")
    settings = ConsoleSettings(
        token="own-secret",
        kube=KubeConfig("https://x", token="kube-secret", client_key="key-secret"),
        oidc=OidcSettings("https://x", "kaiki", client_secret="client-secret"),
    )
    for value in (person, person.identity, Identity("token-secret"), settings):
        assert "secret" not in repr(value).replace("token_secret", "").replace("client_secret_file", "")
