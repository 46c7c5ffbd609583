"""Streams into pods as WebSockets, spoken as the kubelet does: `exec`, `attach` and `portforward`.

    client ◀─WebSocket─▶ API server ◀─WebSocket on node.sock─▶ here ◀─pipes, terminal, sockets─▶ the pod

Every message of `v4.channel.k8s.io` and `v5.channel.k8s.io` starts with the number of its channel; v5 adds a message
that closes one. Clients that speak SPDY come with its bytes in messages. Nothing is read ahead of a slow reader, and
a client that is gone ends what it started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from kaiki.runtime import forwarding
from kaiki.runtime.agent import Agent
from kaiki.runtime.container import Run
from kaiki.runtime.sessions import Attachment, Channels, Execution, Streams
from kaiki.runtime.spdy_channels import TUNNEL_PROTOCOL, SpdyChannels

EXEC_PROTOCOLS = (TUNNEL_PROTOCOL, "v5.channel.k8s.io", "v4.channel.k8s.io")
FORWARD_PROTOCOLS = (forwarding.TUNNEL_PROTOCOL, forwarding.CHANNEL_PROTOCOL)
_Serve: TypeAlias = Callable[[web.WebSocketResponse], Awaitable[None]]


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


def _streams(request: web.Request) -> Streams:
    terminal = _flag(request, "tty")
    return Streams(
        _flag(request, "stdin"), _flag(request, "stdout"), _flag(request, "stderr") and not terminal, terminal
    )


def _channels(socket: web.WebSocketResponse) -> Channels:
    return SpdyChannels(socket) if socket.ws_protocol == TUNNEL_PROTOCOL else Channels(socket)


class PodStreams:
    """Serves `/exec/…`, `/attach/…` and `/portforward/…`. Without an upgrade it only says whether it would work."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def add_routes(self, app: web.Application) -> None:
        """Answer from now on."""
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/attach/{namespace}/{pod}/{container}", self._attach)
        app.router.add_get("/portforward/{namespace}/{pod}", self._forward)

    def _find(self, request: web.Request) -> Run:
        place = request.match_info
        runner = self._agent.find_pod(place["namespace"], place["pod"])
        run = runner.live_run(place["container"]) if runner else None
        if run is None:
            text = f'container "{place["container"]}" in pod "{place["pod"]}" is not running'
            raise web.HTTPBadRequest(text=text)
        return run

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        streams = _streams(request)
        command = self._find(request).command_inside(request.query.getall("command", []), streams.terminal)
        if command is None:
            raise web.HTTPBadRequest(text=f'container "{request.match_info["container"]}" has no process to join')
        if not command.arguments:
            raise web.HTTPBadRequest(text="you must specify at least 1 command for the container")
        keeper = self._agent.processes
        return await _serve(
            request, EXEC_PROTOCOLS, lambda socket: Execution(keeper, command, streams).serve(_channels(socket))
        )

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        run, streams = self._find(request), _streams(request)
        if run.log is None or run.ended is None:
            raise web.HTTPBadRequest(text=f'container "{request.match_info["container"]}" has no output')
        return await _serve(request, EXEC_PROTOCOLS, lambda socket: Attachment(run, streams).serve(_channels(socket)))

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        place = request.match_info
        runner = self._agent.find_pod(place["namespace"], place["pod"])
        if runner is None or runner.network is None:
            raise web.HTTPBadRequest(text=f'pod "{place["pod"]}" is not running')
        ports = [int(one) for text in request.query.getall("ports", []) for one in text.split(",") if one.isdecimal()]

        async def serve(socket: web.WebSocketResponse) -> None:
            pod = forwarding.PodPorts(lambda: runner.network)
            if socket.ws_protocol == forwarding.TUNNEL_PROTOCOL:
                await forwarding.Tunnel(socket, pod).serve()
            else:
                await forwarding.serve_channels(socket, pod, ports)

        return await _serve(request, FORWARD_PROTOCOLS, serve)


async def _serve(request: web.Request, protocols: tuple[str, ...], serve: _Serve) -> web.StreamResponse:
    socket = web.WebSocketResponse(protocols=protocols, compress=False)
    if not socket.can_prepare(request).ok:
        raise web.HTTPUpgradeRequired(text=f"a WebSocket that speaks {' or '.join(protocols)} is needed")
    await socket.prepare(request)
    try:
        if socket.ws_protocol is not None:
            await serve(socket)
    except (ConnectionError, asyncio.CancelledError):
        pass  # the client is gone, or the node is ending
    finally:
        await socket.close()
    return socket
