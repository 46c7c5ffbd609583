"""`kaiki dashboard`: open the console by a link that works once."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
import webbrowser

import click

from kaiki.app.home import Home, current_home
from kaiki.app.machine import MachineError, require_running
from kaiki.cli.failure import explained

REQUEST_TIMEOUT_SECONDS = 10


def one_time_link(home: Home) -> str:
    """Ask the console for a login link (single use, short-lived); answers its full URL."""
    url = require_running(home).urls.get("console")
    if url is None or not home.console_token.exists():
        raise MachineError(
            "the console is not there yet: `kaiki kubectl get pods -n istio-system` shows how far it is."
        )
    request = urllib.request.Request(
        f"{url}/api/login-links",
        method="POST",
        headers={"Authorization": f"Bearer {home.console_token.read_text().strip()}", **_own_identity(home)},
    )
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as response:
            return url + str(json.load(response)["path"])
    except (urllib.error.URLError, OSError) as error:
        raise MachineError(f"the console at {url} does not answer ({error}).") from error


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
