"""Whatever is sent is answered with a Status, in bounded time and memory, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from typing import Any

import orjson
import pytest

from kaiki.apiserver.catalog import BUILT_IN
from kaiki.apiserver.errors import ApiError
from kaiki.apiserver.media import DEPTH_LIMIT, read_body
from kaiki.apiserver.selectors import Selector
from kaiki.apiserver.store import Store
from kaiki.apiserver.watch import BATCH_BYTES, WatchOptions, watch

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaiki.apiserver.connections.PATIENCE_SECONDS", 1.0)


async def send(
    api: Any, method: str, path: str, body: bytes = b"", content_type: str | None = "application/json", **more: str
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {api.token}", **more}
    skipped = ("Content-Type",) if content_type is None else ()
    headers |= {} if content_type is None else {"Content-Type": content_type}
    request = api.session.request(
        method, api.url + path, data=io.BytesIO(body), headers=headers, skip_auto_headers=skipped
    )
    async with request as response:
        return response.status, orjson.loads(await response.read())


def nested(depth: int) -> bytes:
    return b'{"metadata":{"name":"deep"},"data":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


ALIASES = b"a: &a [x, x]\nb: &b [*a, *a]\nmetadata: {name: aliases}\n"
BODIES = [
    (b"x" * (4 << 20), "application/json", 413),
    (b'{"metadata":', "application/json", 400),
    (b"", "application/json", 400),
    (b"[]", "application/json", 400),
    (b"null", "application/json", 400),
    (b'{"metadata":[]}', "application/json", 400),
    (b'{"metadata":{"name":5}}', "application/json", 400),
    (nested(500), "application/json", 400),
    (nested(200_000), "application/json", 400),
    (b"a: " + b"[" * 300_000 + b"]" * 300_000, YAML, 400),
    (b"a: [", YAML, 400),
    (b"a: !!binary aGFsbG8=", YAML, 400),
    (ALIASES, YAML, 400),
    (b"k8s\0" + b"\xff" * 100, PROTOBUF, 400),
    (b"k8s\0" + b"\x80" * (2 << 20), PROTOBUF, 400),
    (b"k8s\0\x0a\x05", PROTOBUF, 400),
    (b"nothing", PROTOBUF, 400),
    (b"a=b", "application/x-www-form-urlencoded", 415),
    (b"<a/>", "text/xml", 415),
]


@pytest.mark.parametrize(("body", "content_type", "code"), BODIES, ids=range(len(BODIES)))
async def test_bodies(api: Any, body: bytes, content_type: str, code: int) -> None:
    status, answer = await send(api, "POST", MAPS, body, content_type)
    assert (status, answer["kind"], answer["code"]) == (code, "Status", code), answer
    assert (await api.get("/readyz"))[1] == "ok"


def test_depth_counts_levels_not_brackets() -> None:
    assert read_body(b"[" + b"[1]," * 2000 + b"[]]", "") is not None
    assert read_body(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT, "") is not None
    with pytest.raises(ApiError, match="nested deeper"):
        read_body(b"[" * (DEPTH_LIMIT + 2) + b"]" * (DEPTH_LIMIT + 2), "")


def test_yaml_is_read_as_json_would_be() -> None:
    assert read_body(b"1: {a: 2026-01-02}", YAML) == {"1": {"a": "2026-01-02"}}


REQUESTS: list[tuple[str, str, bytes, int]] = [
    ("GET", "/nope", b"", 404),
    ("GET", "/versions", b"", 404),
    ("GET", "/api/v1/nope", b"", 404),
    ("GET", "/apis/a/b/c", b"", 404),
    ("GET", PODS + "/a/b/c", b"", 404),
    ("GET", MAPS + "?limit=abc", b"", 400),
    ("GET", MAPS + "?resourceVersion=abc", b"", 400),
    ("GET", MAPS + "?watch=1&timeoutSeconds=abc", b"", 400),
    ("GET", MAPS + "?watch=1&resourceVersion=abc", b"", 400),
    ("GET", MAPS + "?continue=WzE=", b"", 400),
    ("GET", MAPS + "?labelSelector=%21%21", b"", 400),
    ("GET", MAPS + "?fieldSelector=spec.x=1", b"", 400),
    ("DELETE", MAPS + "/none?gracePeriodSeconds=abc", b"", 400),
    ("DELETE", MAPS + "/none", b"[1]", 400),
    ("DELETE", MAPS + "/none", b'{"preconditions":5}', 400),
    ("POST", MAPS + "/none", b"{}", 405),
    ("TRACE", MAPS, b"", 405),
    ("POST", PODS, b'{"metadata":{"name":"p"},"spec":{"containers":null,"volumes":[null]}}', 422),
    ("POST", PODS, b'{"metadata":{"name":"p"},"spec":{"containers":[null]}}', 422),
    ("POST", PODS + "/none/eviction", b'{"deleteOptions":5}', 400),
    ("GET", PODS + "/none/exec?command=ls", b"", 404),
    ("POST", PODS + "/none/portforward", b"", 404),
    ("POST", "/api/v1/namespaces/default/serviceaccounts/none/token", b'{"spec":{"audiences":5}}', 400),
    ("PUT", "/apis/apps/v1/namespaces/default/deployments/none/scale", b'{"spec":5}', 404),
]


@pytest.mark.parametrize(("method", "path", "body", "code"), REQUESTS, ids=range(len(REQUESTS)))
async def test_requests(api: Any, method: str, path: str, body: bytes, code: int) -> None:
    status, answer = await send(api, method, path, body)
    assert (status, answer["kind"]) == (code, "Status"), answer
    assert answer["reason"] != "InternalError"


async def test_a_body_without_a_content_type_is_json(api: Any) -> None:
    """client-go's scale client names none."""
    deployment = {
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
        },
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    await api.post(path, deployment)
    _, scale = await api.get(path + "/web/scale")
    scale["spec"]["replicas"] = 3
    status, answer = await send(api, "PUT", path + "/web/scale", orjson.dumps(scale), None)
    assert (status, answer["spec"]) == (200, {"replicas": 3})
    assert (await send(api, "PUT", path + "/web/scale", b'{"spec":5}'))[0] == 400


async def test_who_is_not_known_is_told_so(api: Any) -> None:
    for authorization in ("", "Basic YTpi", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer e30.e30.e30", "Bearer é"):
        status, answer = await send(api, "GET", MAPS, Authorization=authorization)
        assert (status, answer["reason"]) == (401, "Unauthorized")


async def test_a_dry_run_in_the_options_deletes_nothing(api: Any) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    await api.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    await api.post(PODS, pod)
    await api.post(PODS + "/p/eviction", {"metadata": {"name": "p"}, "deleteOptions": {"dryRun": ["All"]}})
    await api.delete(PODS + "/p", {"dryRun": ["All"]})
    assert (await api.get(PODS + "/p"))[0] == 200


async def test_a_definition_whose_schema_cannot_be_used_is_refused(api: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}
    definition = {
        "metadata": {"name": "as.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "as", "kind": "A"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    status, answer = await api.post(DEFINITIONS, definition)
    assert status == 422
    assert "properties.a.pattern" in answer["message"]


async def test_a_watch_nobody_reads_holds_up_nobody(api: Any) -> None:
    """The kernel's buffers fill, the watch waits, the ring moves on; others are served, and memory stays."""
    await api.post(MAPS, {"metadata": {"name": "busy"}})
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1024)
    request = f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.token}\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    text = "x" * 500_000
    for number in range(40):
        assert (await api.patch(MAPS + "/busy", {"data": {"text": text, "number": str(number)}}))[0] == 200
    assert (await api.get(MAPS + "/busy"))[1]["data"]["number"] == "39"
    writer.transport.abort()


async def test_idle_connections_cost_nobody_anything(api: Any) -> None:
    port = int(api.url.rpartition(":")[2])
    pairs = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(200)))
    assert (await api.get("/readyz"))[1] == "ok"
    for _, writer in pairs:
        writer.transport.abort()


async def test_a_watch_is_written_in_small_pieces(api: Any) -> None:
    """A client that reads slowly holds one piece in the server, not all that it has not read."""
    for number in range(8):
        await api.post(MAPS, {"metadata": {"name": f"big-{number}"}, "data": {"text": "x" * 50_000}})
    store = Store(api.home / "api.sqlite")
    kind = next(kind for kind in BUILT_IN if kind.plural == "configmaps")
    pieces = watch(store, kind, WatchOptions("default", Selector(), None), lambda record: record.body)
    sizes = [len(await anext(pieces)) for _ in range(4)]
    assert max(sizes) < 2 * BATCH_BYTES
    await pieces.aclose()
    store.close()


async def test_a_watch_whose_client_has_gone_ends(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing happens that would be told."""
    monkeypatch.setattr("kaiki.apiserver.watch.BOOKMARK_SECONDS", 0.02)
    waiters = api.store.collection("/podtemplates").waiters
    path = "/api/v1/namespaces/default/podtemplates"
    async with api.session.get(
        f"{api.url}{path}?watch=1", headers={"Authorization": f"Bearer {api.token}"}
    ) as watching:
        assert watching.status == 200
        while not waiters:
            await asyncio.sleep(0.01)
    while waiters:
        await asyncio.sleep(0.01)


async def test_who_connects_and_asks_nothing_is_disconnected(quick: Any, api: Any) -> None:
    """An idle connection and one that sends its headers drop by drop; those that have asked stay."""
    assert (await api.get("/readyz"))[1] == "ok"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(api.url.rpartition(":")[2])
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    slow, slow_writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    slow_writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    asked, asked_writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    asked_writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
    await asked.readuntil(b"ok")
    assert await idle.read() == await slow.read() == b""
    asked_writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
    await asked.readuntil(b"ok")
    for writer in (idle_writer, slow_writer, asked_writer):
        writer.transport.abort()
    assert (await api.get("/readyz"))[1] == "ok"


async def test_warnings_say_any_name_and_do_not_grow_without_bound(api: Any) -> None:
    body = {"metadata": {"name": "odd"}, "a\r\nb\0é\u2028": 1, **{f"field{number}": 1 for number in range(500)}}
    code, _ = await api.post(MAPS, body)
    assert code == 201
    assert sum(map(len, api.warnings)) < 8192
    assert any("unknown field" in text for text in api.warnings)


def unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_of_too_many_idle_connections_the_longest_idle_go(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaiki.apiserver.connections.IDLE_LIMIT", 8)
    port = int(api.url.rpartition(":")[2])
    opened = [await asyncio.open_connection("127.0.0.1", port, ssl=unchecked()) for _ in range(40)]
    for reader, _ in opened[:20]:
        assert await reader.read() == b""
    reader, writer = opened[-1]
    for _ in range(2):  # the newest may ask, and ask again
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"ok")
    assert (await api.get("/readyz"))[1] == "ok"
    for _, writer in opened:
        writer.transport.abort()


async def test_of_too_many_connections_that_shake_no_hands_the_first_go(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaiki.apiserver.connections.HANDSHAKE_LIMIT", 8)
    port = int(api.url.rpartition(":")[2])
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
    for reader, writer in opened[4:32]:  # some of them in the middle of a record
        with contextlib.suppress(ConnectionError):
            writer.write(b"\x16\x03\x01\x02\x00\x01")
            assert await reader.read() == b""
    assert (await api.get("/readyz"))[1] == "ok"
    reader, writer = opened[-1]
    await writer.start_tls(unchecked())  # the newest may take its time
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"ok")
    for _, writer in opened:
        writer.transport.abort()


async def test_a_handshake_that_does_not_go_on_ends(quick: Any, api: Any) -> None:
    port = int(api.url.rpartition(":")[2])
    silent, silent_writer = await asyncio.open_connection("127.0.0.1", port)
    talking, talking_writer = await asyncio.open_connection("127.0.0.1", port)
    talking_writer.write(b"GET / HTTP/1.1\r\n\r\n")  # plain HTTP
    for reader in (silent, talking):
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) < 100
    for writer in (silent_writer, talking_writer):
        writer.transport.abort()
    assert (await api.get("/readyz"))[1] == "ok"


async def test_a_watch_that_nobody_reads_ends(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is read goes on, beside it."""
    monkeypatch.setattr("kaiki.apiserver.connections.STALL_SECONDS", 0.5)
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=unchecked(), limit=1024)
    request = f"GET {MAPS}?watch=true HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.token}\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    watch = api.watch(f"{MAPS}?watch=true&resourceVersion={api.store.revision}")
    following = asyncio.ensure_future(anext(watch))
    waiters = api.store.collection("/configmaps").waiters
    while len(waiters) < 2:
        await asyncio.sleep(0.01)
    big = {"metadata": {"name": "big"}, "data": {"a": "x" * 500_000}}
    assert (await api.post(MAPS, big))[0] == 201
    assert (await following)["type"] == "ADDED"
    for number in range(60):
        assert (await api.patch(f"{MAPS}/big", {"data": {"n": str(number)}}))[0] == 200
        assert (await anext(watch))["object"]["data"]["n"] == str(number)
        if len(waiters) == 1:
            break
    while len(waiters) > 1:
        await asyncio.sleep(0.05)
    assert (await api.patch(f"{MAPS}/big", {"data": {"n": "last"}}))[0] == 200
    assert (await anext(watch))["object"]["data"]["n"] == "last"
    await watch.aclose()
    writer.transport.abort()
