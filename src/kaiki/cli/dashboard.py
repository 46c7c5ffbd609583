"""`kaiki dashboard`: open the console by a link that works once."""

from __future__ import annotations

import os
import sys
import webbrowser

import click

from kaiki.app.home import Home, current_home
from kaiki.app.machine import require_running
from kaiki.cli.console_api import ask_console
from kaiki.cli.failure import explained


def one_time_link(home: Home) -> str:
    """Ask the console for a login link (single use, short-lived); answers its full URL."""
    path = ask_console(home, "/api/login-links", "POST", _own_identity(home))["path"]
    return f"{require_running(home).urls['console']}{path}"


def _own_identity(home: Home) -> dict[str, str]:
    """The token of the kubeconfig: with it the console makes the user's changes, instead of with rights of its own."""
    from kaiki.kube.config import ConfigError, read_kubeconfig

    try:
        token = read_kubeconfig(home.kubeconfig).token
    except (ConfigError, OSError):
        return {}
    return {"Kaiki-Kubernetes-Token": token} if token else {}


def can_open_browser() -> bool:
    """Whether this looks like a desktop session; over SSH or in CI the link is printed instead."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@click.command()
@click.option("--no-open", is_flag=True, help="Only print the link.")
def command(no_open: bool) -> None:
    """Open the console in a browser, already logged in; without a desktop, print the link."""
    with explained():
        link = one_time_link(current_home())
    if no_open or not can_open_browser() or not webbrowser.open(link):
        click.echo(link)
