"""The `kaiki` command. Each subcommand is one module, imported only when it is asked for: start-up time is felt."""

from __future__ import annotations

import importlib
import sys

import click

import kaiki

COMMANDS = {
    "demo": "Start a mesh with Bookinfo, its gateway, traffic and the console.",
    "up": "Start a mesh on this machine.",
    "down": "Stop the mesh.",
    "status": "Show what runs and where it can be reached.",
    "wait": "Wait until an object is in force at every proxy it is for.",
    "explain": "Say why a request goes where it goes.",
    "proxy-config": "Show what an Envoy has: clusters, listeners, routes, endpoints, secrets.",
    "env": "Print the exports that point kubectl and scripts at the mesh.",
    "install": "Install the control plane, gateway, metrics store and console.",
    "dashboard": "Open the console in a browser.",
    "kubectl": "Run kubectl against the mesh.",
    "run": "Run a command of yours as a workload of the mesh.",
}
# Started by other parts of Kaiki, not by people.
INTERNAL = {
    "node": "The launcher: namespaces, pods and loopback ports.",
    "supervisor": "Inside the namespaces: what the launcher starts.",
    "apiserver": "The embedded Kubernetes API.",
    "control-plane": "Configuration, certificates and injection for the proxies.",
    "metrics": "The metrics store.",
    "console": "The console.",
    "redirect": "Redirect a pod's traffic to its sidecar.",
    "probe": "Try what the local runtime needs of this machine.",
}


class LazyGroup(click.Group):
    """A group whose commands' modules are imported on use; the help lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS and cmd_name not in INTERNAL:
            return None
        module = importlib.import_module(f"kaiki.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="KAIKI_HOME (default ~/.kaiki) keeps an instance's state; each home is a mesh of its own.",
)
@click.version_option(kaiki.__version__, prog_name="kaiki")
@click.option("-n", "--namespace", default="", help="The namespace, for commands that take one.")
@click.pass_context
def root(context: click.Context, namespace: str) -> None:
    """A service mesh with its monitor built in: Istio's APIs, Envoy's data plane, one command on a laptop."""
    if namespace:
        # As istioctl and kubectl have it: the option may stand before the command, and before that of a group.
        said = {"namespace": namespace}
        context.default_map = {name: {**said, "request": said} for name in COMMANDS}


def main() -> int:
    """Run the command line; exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        code = root.main(prog_name="kaiki", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    # A command that ends by click's Exit has its code returned here; others return None.
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
