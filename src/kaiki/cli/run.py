"""`kaiki run`: any command of the user's own becomes a workload of the mesh, for as long as the command line runs."""

from __future__ import annotations

import asyncio
import os
from functools import partial

import click

from kaiki.app.home import current_home
from kaiki.app.machine import require_running
from kaiki.cli.failure import explained

# What a process needs of the user's shell to behave as it does there; nothing else of the environment is stored.
DEFAULT_ENVIRONMENT = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "VIRTUAL_ENV",
    "JAVA_HOME",
    "GOPATH",
    "NODE_PATH",
    "PYTHONPATH",
)


def chosen_environment(extra: tuple[str, ...]) -> dict[str, str]:
    """The variables to pass on: the default ones that are set, and each `--env NAME` or `--env NAME=VALUE`."""
    values = {name: os.environ[name] for name in DEFAULT_ENVIRONMENT if name in os.environ}
    for entry in extra:
        name, equals, value = entry.partition("=")
        if not equals and name not in os.environ:
            raise click.UsageError(f"--env {name}: no such variable in this shell; write --env {name}=VALUE.")
        values[name] = value if equals else os.environ[name]
    return values


@click.command()
@click.argument("name")
@click.option("--port", "-p", type=click.IntRange(1, 65535), required=True, help="The port the command listens on.")
@click.option("--version", "-v", "version", default="v1", show_default=True, help="The workload's version label.")
@click.option("--namespace", "-n", default="default", show_default=True, help="The namespace it joins.")
@click.option(
    "--protocol",
    type=click.Choice(["http", "http2", "grpc", "tcp"]),
    default="http",
    show_default=True,
    help="What the port speaks.",
)
@click.option(
    "--env", "-e", multiple=True, metavar="NAME[=VALUE]", help="Pass on a variable of this shell, or set one."
)
@click.option("--group", default="", help="Register as a member of this WorkloadGroup, without a Service of its own.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARG]...")
def command(
    name: str,
    port: int,
    version: str,
    namespace: str,
    protocol: str,
    env: tuple[str, ...],
    group: str,
    arguments: tuple[str, ...],
) -> None:
    """Run COMMAND as workload NAME of the mesh, behind a sidecar, until Ctrl-C.

    Other workloads call it as http://NAME:PORT; it calls them by their service names. Several versions of one NAME run
    side by side and share its Service. The command runs in this folder, as you, with its own network.

    \b
    kaiki run reviews --port 9080 --version v4 -- python3 reviews.py
    kaiki run vm-1 --port 9080 --group vms -- ./server      # selected by the labels of WorkloadGroup vms
    """
    from kaiki.app.guest import Guest, host_guest

    home = current_home()
    guest = Guest(
        name=name,
        namespace=namespace,
        version=version,
        port=port,
        protocol=protocol,
        command=arguments,
        working_folder=os.getcwd(),
        environment=tuple(chosen_environment(env).items()),
        user_id=os.getuid(),
        group=group,
    )
    with explained():
        require_running(home)
        code = asyncio.run(host_guest(home.kubeconfig, guest, click.echo, partial(click.echo, nl=False)))
    raise click.exceptions.Exit(code)
