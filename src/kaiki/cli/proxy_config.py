"""`kaiki proxy-config`: what an Envoy has, as it says itself; the words are istioctl's."""

from __future__ import annotations

import json
import os

import click

from kaiki.app.home import current_home
from kaiki.app.machine import MachineError, require_running
from kaiki.cli.failure import explained
from kaiki.cli.kubectl import kubectl_program
from kaiki.cli.status import print_lines

ALIASES = {
    **dict.fromkeys(("cluster", "clusters", "c"), "cluster"),
    **dict.fromkeys(("listener", "listeners", "l"), "listener"),
    **dict.fromkeys(("route", "routes", "r"), "route"),
    **dict.fromkeys(("endpoint", "endpoints", "ep"), "endpoint"),
    **dict.fromkeys(("secret", "secrets", "s"), "secret"),
    **dict.fromkeys(("bootstrap", "b"), "bootstrap"),
    **dict.fromkeys(("all", "a"), "all"),
}


@click.command()
@click.argument("part", type=click.Choice(list(ALIASES)), metavar="PART")
@click.argument("proxy")
@click.option("-n", "--namespace", default="", help="The namespace of PROXY; `default` if PROXY does not name one.")
@click.option(
    "-o", "--output", type=click.Choice(["short", "json"]), default="short", help="A table, or what Envoy says."
)
def command(part: str, proxy: str, namespace: str, output: str) -> None:
    """Show what the Envoy of PROXY has: cluster, listener, route, endpoint, secret, bootstrap or all.

    PROXY is a pod, POD.NAMESPACE or deploy/NAME. What the mesh thinks the proxy should have is on its page in the
    console; the reason for one request is `kaiki explain`. Private keys are never shown.
    """
    from kaiki.app.proxy_dump import PARTS, bootstrap_of, part_of, read_dump

    target, namespace = _place(proxy, namespace)
    with explained():
        document = read_dump(kubectl_program(), _environment(), namespace, target)
    part = ALIASES[part]
    if part == "bootstrap":
        click.echo(json.dumps(bootstrap_of(document), indent=2))
    elif output == "json":
        click.echo(json.dumps(document if part == "all" else part_of(document, part), indent=2))
    else:
        for number, name in enumerate(PARTS if part == "all" else [part]):
            if number:
                click.echo()
            print_lines(list(PARTS[name](document)))


def _place(proxy: str, namespace: str) -> tuple[str, str]:
    """(pod or deploy/NAME, namespace)."""
    if "/" not in proxy and "." in proxy and not namespace:
        pod, _, found = proxy.rpartition(".")
        return pod, found
    return proxy, namespace or "default"


def _environment() -> dict[str, str]:
    """With the kubeconfig of the mesh of this home; without one, whatever kubectl would use."""
    home = current_home()
    try:
        require_running(home)
    except MachineError:
        if not os.environ.get("KUBECONFIG"):
            raise
        return dict(os.environ)
    return {**os.environ, "KUBECONFIG": str(home.kubeconfig)}
