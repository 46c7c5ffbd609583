"""Streams into pods (`exec`, `attach`, `portforward`): checked here, then passed on to the node, message by message.

Spoken as WebSockets, as kubectl since 1.31 and the client libraries do, and in SPDY, as before (`spdy_tunnel.py`).
Each direction waits for its reader, so that a slow one slows its own stream and nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import WSMsgType, web

from kaiki.apiserver.errors import ApiError, bad_request, method_not_allowed, unavailable
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.spdy_tunnel import UPGRADE, SpdyTunnel, agreed_name

MAXIMUM_STREAMS = 512
IDLE_SECONDS = 4 * 3600.0
_CHANNELS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_PROTOCOLS = {
    "exec": _CHANNELS,
    "attach": _CHANNELS,
    "portforward": ("SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"),
}


class PodStreams:
    """Answers `exec`, `attach` and `portforward` of pods."""

    def __init__(self, node_socket: Path | None) -> None:
        self._node_socket = node_socket
        self._count = 0

    async def handle(self, http: web.BaseRequest, request: ApiRequest, pod: dict[str, Any], container: str) -> Any:
        """Answer one request for a pod and (but for port forwarding) one of its containers; ApiError when refused."""
        if http.method not in ("GET", "POST"):
            raise method_not_allowed()
        if self._node_socket is None or not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {request.name} does not run on a node yet")
        if self._count >= MAXIMUM_STREAMS:
            raise ApiError(429, "TooManyRequests", f"{MAXIMUM_STREAMS} streams into pods are open: close some first")
        parts = [request.subresource, request.namespace, request.name, *([container] if container else [])]
        path = "/".join(quote(part, safe="") for part in parts)
        self._count += 1
        try:
            connector = aiohttp.UnixConnector(path=str(self._node_socket))
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as node:
                return await _serve(http, request, node, f"http://node/{path}")
        except aiohttp.ClientConnectionError as error:
            raise unavailable(f"the node does not answer: {error}") from error
        finally:
            self._count -= 1


async def _serve(http: web.BaseRequest, request: ApiRequest, node: aiohttp.ClientSession, url: str) -> Any:
    protocol = _agreed_protocol(http, request.subresource)
    query = [(name, text) for name, text in http.query.items() if name != "container"]
    try:
        name = agreed_name(http, request.subresource)
        if name is not None:
            protocol = f"{UPGRADE}+{name}"
        if protocol is None:
            raise await _refusal(node, url, query, http)
        async with node.ws_connect(url, params=query, protocols=[protocol], autoping=False, max_msg_size=0) as upstream:
            if name is not None:
                tunnel = SpdyTunnel(http, name)
                await tunnel.prepare()
                await _join(tunnel, upstream)
                return tunnel.response
            client = web.WebSocketResponse(protocols=[protocol], compress=False, autoping=True)
            await client.prepare(http)
            await _join(client, upstream)
            return client
    except aiohttp.WSServerHandshakeError:
        raise await _refusal(node, url, query, http) from None


def _agreed_protocol(http: web.BaseRequest, kind: str) -> str | None:
    if http.headers.get("Upgrade", "").lower() != "websocket":
        return None
    offered = [one.strip() for one in http.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return next((one for one in _PROTOCOLS[kind] if one in offered), None)


async def _refusal(
    node: aiohttp.ClientSession, url: str, query: list[tuple[str, str]], http: web.BaseRequest
) -> ApiError:
    """Why not: what the node says of the target; where it has nothing to say, which protocols are spoken here."""
    async with node.get(url, params=query) as answer:
        text = (await answer.text()).strip()
    if answer.status == 426:
        asked = http.headers.get("Upgrade") or "no upgrade"
        text = f"{text}, or {UPGRADE} with the same; the client asked for {asked}"
    return bad_request(text)


async def _join(client: web.WebSocketResponse | SpdyTunnel, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until one side ends or nothing has passed for hours."""
    loop = asyncio.get_running_loop()
    last = loop.time()

    async def copy(source: Any, target: Any) -> None:
        nonlocal last
        while True:
            message = await source.receive()
            last = loop.time()
            if message.type is WSMsgType.BINARY:
                await target.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                await target.send_str(message.data)
            elif message.type not in (WSMsgType.PING, WSMsgType.PONG):
                return

    async def watch_idle() -> None:
        while (left := last + IDLE_SECONDS - loop.time()) > 0:
            await asyncio.sleep(left)

    tasks = [asyncio.create_task(one) for one in (copy(client, upstream), copy(upstream, client), watch_idle())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await client.close()
