"""`kaiki env`: exports for the shell, so that kubectl, curl and scripts find the mesh."""

from __future__ import annotations

import shlex

import click

from kaiki.app.home import Home, current_home, samples_path
from kaiki.app.machine import require_running
from kaiki.cli.failure import explained


def environment(home: Home) -> dict[str, str]:
    """The variables and their values for a running mesh; addresses are full URLs on the loopback."""
    urls = require_running(home).urls
    values = {"KAIKI_HOME": str(home.path), "KUBECONFIG": str(home.kubeconfig), "KAIKI_SAMPLES": str(samples_path())}
    for variable, name in (
        ("KAIKI_GATEWAY_URL", "gateway"),
        ("KAIKI_CONSOLE_URL", "console"),
        ("KAIKI_METRICS_URL", "metrics"),
        ("KAIKI_TRACING_URL", "tracing"),
    ):
        if name in urls:
            values[variable] = urls[name]
    if home.console_token.exists():
        values["KAIKI_CONSOLE_TOKEN"] = home.console_token.read_text().strip()
    return values


@click.command()
def command() -> None:
    """Print the exports that point kubectl and scripts at the mesh.

    Use it as: eval "$(kaiki env)"
    """
    with explained():
        values = environment(current_home())
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")
