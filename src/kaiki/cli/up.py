"""`kaiki up`: a mesh on this machine, with the control plane, gateway, metrics store and console installed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time

import click

from kaiki.app.home import Home, current_home
from kaiki.app.machine import MachineState, start_node, stop_node, wait_for_state
from kaiki.cli.failure import explained
from kaiki.cli.install import metrics_url_option, run_install, tracing_url_option

URL_NAMES = {"gateway": "gateway", "console": "console", "metrics": "metrics", "tracing": "tracing", "api": "API"}


def start(home: Home, *, detach: bool) -> tuple[subprocess.Popen[bytes], MachineState]:
    """Start the launcher and wait for its API socket; the caller stops it."""
    node = start_node(home, detach=detach)
    return node, wait_for_state(home, node)


def print_urls(state: MachineState) -> None:
    """Where everything is, one line each."""
    for name, title in URL_NAMES.items():
        if name in state.urls:
            click.echo(f"  {title:<8} {state.urls[name]}")


def wait_for_interrupt(node: subprocess.Popen[bytes]) -> bool:
    """Wait until Ctrl-C or SIGTERM (answers True) or until the launcher has ended by itself (False)."""
    interrupted: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: interrupted.append(received))
    while not interrupted:
        if node.poll() is not None:
            return False
        time.sleep(0.1)
    return True


def stop(home: Home) -> None:
    """Stop the mesh, saying so."""
    click.echo("\nstopping")
    stop_node(home)
    click.echo("stopped; what was stored stays in " + str(home.path))


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Leave the mesh running in the background.")
@click.option("--no-install", is_flag=True, help="Start the bare machine: the Kubernetes API and its node, no mesh.")
@metrics_url_option
@tracing_url_option
def command(detach: bool, no_install: bool, metrics_url: str, tracing_url: str) -> None:
    """Start a mesh on this machine: an embedded Kubernetes API, then the control plane, gateway, metrics and console.

    In the foreground Ctrl-C stops it. With --detach it runs until `kaiki down`.
    """
    home = current_home()
    with explained():
        node, state = start(home, detach=detach)
        click.echo(f"✔ Kubernetes API ready ({state.urls['api']})")
        try:
            if not no_install:
                from kaiki.app.installation import local_settings

                asyncio.run(
                    run_install(home.kubeconfig, local_settings(home, metrics_url=metrics_url, tracing_url=tracing_url))
                )
        except BaseException:
            stop_node(home)
            raise
        print_urls(wait_for_state(home, node))
    click.echo('Point this shell at it:  eval "$(kaiki env)"')
    if detach:
        return
    click.echo("Ctrl-C stops the mesh.")
    if not wait_for_interrupt(node):
        raise click.ClickException(f"the mesh has ended by itself; see {home.node_log}")
    stop(home)
