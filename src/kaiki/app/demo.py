"""The demo: a mesh, Bookinfo behind its gateway, gentle traffic, and where to look."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from kaiki.app.home import samples_path
from kaiki.app.readiness import wait_for_deployments
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Unavailable
from kaiki.kube.manifest import apply_objects, load_file
from kaiki.kube.resource import NAMESPACES

GATEWAY_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05


class DemoError(Exception):
    """The demo did not come up; the text says how far it got and where to look."""


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The manifests of the demo, applied in this order."""

    workloads: Path
    traffic: Path
    telemetry: Path


def demo_files(polyglot: bool) -> DemoFiles:
    """Bookinfo's manifests; `polyglot` takes details in Ruby, reviews in Java and ratings in Node.js."""
    bookinfo = samples_path() / "bookinfo"
    name = "bookinfo-polyglot.yaml" if polyglot else "bookinfo.yaml"
    return DemoFiles(
        workloads=bookinfo / "platform" / name,
        traffic=bookinfo / "networking" / "bookinfo-gateway.yaml",
        telemetry=samples_path() / "telemetry" / "trace-everything.yaml",
    )


async def deploy(client: KubeClient, files: DemoFiles) -> None:
    """Label `default` for injection and apply the demo's manifests.

    The gateway's objects are checked by the control plane's webhook, which may still be starting: they are tried until
    it answers.
    """
    label = {"metadata": {"labels": {"istio-injection": "enabled"}}}
    await client.patch(NAMESPACES, "default", None, label)
    await apply_objects(client, load_file(files.workloads))
    deadline = time.monotonic() + GATEWAY_TIMEOUT_SECONDS
    while True:
        try:
            await apply_objects(client, [*load_file(files.traffic), *load_file(files.telemetry)])
            return
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_SECONDS)


async def wait_for_workloads(client: KubeClient, files: DemoFiles) -> None:
    """Wait until the demo's Deployments are ready: asking for pages before would be counted as failures."""
    names = [obj["metadata"]["name"] for obj in load_file(files.workloads) if obj["kind"] == "Deployment"]
    async for _ in wait_for_deployments(client, "default", names, GATEWAY_TIMEOUT_SECONDS):
        pass


async def wait_for_page(url: str) -> None:
    """Ask for a page until it is answered with 200; raises DemoError with the last answer otherwise."""
    import aiohttp

    deadline, last = time.monotonic() + GATEWAY_TIMEOUT_SECONDS, "no answer"
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
                    last = f"status {response.status}"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                last = str(error) or type(error).__name__
            await asyncio.sleep(POLL_SECONDS)
    raise DemoError(
        f"{url} was not answered within {GATEWAY_TIMEOUT_SECONDS:.0f} s (last: {last}). "
        "`kaiki kubectl get pods -A` shows what is not ready, `kaiki kubectl describe pod NAME` why."
    )


async def start_load(url: str, requests_per_second: float) -> asyncio.subprocess.Process:
    """Start the load generator on a page, as a process of its own that ends with this one."""
    from kaiki.app.machine import end_with_parent

    script = samples_path() / "load" / "load.py"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-S",
        "-E",
        str(script),
        url,
        "--rps",
        str(requests_per_second),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        preexec_fn=end_with_parent(),
        start_new_session=True,
    )
