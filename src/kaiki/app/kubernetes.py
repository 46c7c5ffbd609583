"""The process that is Kubernetes on one machine: the API server and, through its own HTTP, the controllers."""

from __future__ import annotations

import asyncio
import contextlib

from kaiki.apiserver.server import ApiServerSettings, serve
from kaiki.app.home import Home
from kaiki.app.node import INSIDE_API_ADDRESS
from kaiki.controllers.run import run_controllers
from kaiki.kube.client import KubeClient
from kaiki.kube.config import load_config


async def run_kubernetes(home: Home, listen_fds: tuple[int, ...]) -> None:
    """Serve until told to stop; controllers end with the server."""
    settings = ApiServerSettings(
        home=home.path,
        listen_fds=listen_fds,
        listen_addresses=(INSIDE_API_ADDRESS,),
        node_socket=home.node_socket,
    )
    stop = asyncio.Event()
    controllers = asyncio.create_task(control(home, stop))
    try:
        await serve(settings)
    finally:
        stop.set()
        controllers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await controllers


async def control(home: Home, stop: asyncio.Event) -> None:
    """Run the controllers with the node's own access."""
    async with KubeClient(load_config(home.run / "node.kubeconfig"), user_agent="kube-controller-manager") as client:
        await run_controllers(client, stop)
