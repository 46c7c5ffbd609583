"""`kaiki demo`: from nothing to a living mesh with traffic to look at."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import webbrowser

import click

from kaiki.app.home import Home, current_home
from kaiki.app.machine import MachineError, MachineState, is_running, read_state, stop_node
from kaiki.cli.dashboard import can_open_browser, one_time_link
from kaiki.cli.failure import explained
from kaiki.cli.up import print_urls, start

LINK_TIMEOUT_SECONDS = 30


async def run_demo(home: Home, state: MachineState, polyglot: bool, requests_per_second: float, started: float) -> None:
    """Install, deploy, send traffic and wait for Ctrl-C; says what happens as it happens."""
    from kaiki.app.demo import demo_files, deploy, start_load, wait_for_page, wait_for_workloads
    from kaiki.app.installation import install, local_settings
    from kaiki.kube.client import KubeClient
    from kaiki.kube.config import load_config

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with KubeClient(load_config(home.kubeconfig)) as client:
        await install(client, local_settings(home))
        click.echo(f"✔ control plane, gateway, metrics store and console installed ({elapsed(started)})")
        files = demo_files(polyglot)
        await deploy(client, files)
        await wait_for_workloads(client, files)
        click.echo(f"✔ Bookinfo ready, a sidecar before each service ({elapsed(started)})")
    gateway = await wait_for_url(home, "gateway")
    page = f"{gateway}/productpage"
    await wait_for_page(page)
    click.echo(f"✔ {page} answers ({elapsed(started)})")
    load = await start_load(page, requests_per_second) if requests_per_second > 0 else None
    try:
        await show_console(home)
        print_urls(read_state(home) or state)
        click.echo("Ctrl-C stops everything.")
        await wait_for_end(home, stop)
    finally:
        if load is not None:
            with contextlib.suppress(ProcessLookupError):
                load.terminate()
            await load.wait()


async def wait_for_end(home: Home, stop: asyncio.Event) -> None:
    """Return at Ctrl-C, and when the mesh was stopped from elsewhere: traffic must not go on to whoever comes next."""
    while is_running(home):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=0.5)
        if stop.is_set():
            return
    click.echo("the mesh was stopped from elsewhere")


async def wait_for_url(home: Home, name: str) -> str:
    """The loopback address of that name as soon as its socket is open."""
    deadline = time.monotonic() + LINK_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = read_state(home)
        if state is not None and name in state.urls:
            return state.urls[name]
        await asyncio.sleep(0.05)
    raise MachineError(f"no address of the {name} after {LINK_TIMEOUT_SECONDS} s; see {home.node_log}")


async def show_console(home: Home) -> None:
    """Open the console by a one-time link, or print the link where there is no desktop."""
    deadline = time.monotonic() + LINK_TIMEOUT_SECONDS
    while True:
        try:
            link = await asyncio.to_thread(one_time_link, home)
            break
        except MachineError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
    opened = can_open_browser() and await asyncio.to_thread(webbrowser.open, link)
    click.echo("✔ console opened in the browser" if opened else f"✔ console: {link}")


def elapsed(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


@click.command()
@click.option(
    "--polyglot", is_flag=True, help="details in Ruby, reviews in Java, ratings in Node.js (must be installed)."
)
@click.option(
    "--load", "requests_per_second", default=2.0, show_default=True, metavar="RPS", help="Traffic; 0 for none."
)
def command(polyglot: bool, requests_per_second: float) -> None:
    """Start a mesh with Bookinfo, its gateway, gentle traffic and the console. Ctrl-C stops everything."""
    home = current_home()
    started = time.monotonic()
    from kaiki.app.demo import DemoError

    with explained():
        _, state = start(home, detach=False)
        click.echo(f"✔ Kubernetes API ready ({elapsed(started)})")
        try:
            asyncio.run(run_demo(home, state, polyglot, requests_per_second, started))
        except DemoError as error:
            raise click.ClickException(str(error)) from error
        finally:
            click.echo("stopping")
            stop_node(home)
            click.echo("stopped")
