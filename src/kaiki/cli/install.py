"""`kaiki install`: put the control plane, the gateway, the metrics store and the console into the mesh."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kaiki.app.home import current_home
from kaiki.app.machine import require_running
from kaiki.cli.console_settings import PREFIX, check_console_setting, console_options
from kaiki.cli.failure import explained
from kaiki.model.proxy_settings import REDIRECTION

if TYPE_CHECKING:
    from kaiki.manifests.settings import InstallSettings

PARTS = {
    "istiod": "Control plane",
    "istio-ingressgateway": "Ingress gateway",
    "istio-egressgateway": "Egress gateway",
    "prometheus": "Metrics store",
    "kiali": "Console",
}
READY_TIMEOUT_SECONDS = 120


def _check_url(_: click.Context, __: click.Parameter, value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} is not an http or https address, as in http://127.0.0.1:9090")
    return value


metrics_url_option = click.option(
    "--metrics-url",
    default="",
    callback=_check_url,
    metavar="URL",
    help="Use this Prometheus-compatible server for metrics instead of the embedded store.",
)


tracing_url_option = click.option(
    "--tracing-url",
    default="",
    callback=_check_url,
    metavar="URL",
    help="Let the console ask this server for traces (Jaeger's query API) instead of the embedded store.",
)


_PROFILES = ("default", "demo", "minimal", "empty")
_VALUES = "values.global.proxy."
_EGRESS = "components.egressGateways[0]."
_TRUTHS = {"true": True, "false": False}


@dataclass
class Choices:
    """What `--set` asks for."""

    profile: str = "default"
    egress_gateway: bool = False
    mesh_config: dict[str, Any] = field(default_factory=dict)
    console: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def parse_settings(values: tuple[str, ...]) -> Choices:
    """`--set` values, in istioctl's form; only the keys this version has are accepted."""
    choices = Choices()
    for value in values:
        key, equals, text = value.partition("=")
        if equals and key == "profile":
            if text not in _PROFILES:
                raise click.UsageError(f"--set {value}: profile is one of {', '.join(_PROFILES)}")
            choices.profile = text
        elif equals and key.startswith("meshConfig."):
            _put(choices.mesh_config, key.split(".")[1:], text)
        elif equals and key.removeprefix(_VALUES) in REDIRECTION and key.startswith(_VALUES):
            _put(choices.values, key.split(".")[1:], text)
        elif equals and key.startswith(PREFIX):
            name, read = check_console_setting(key.removeprefix(PREFIX), text)
            choices.console[name] = read
        elif equals and key.startswith(_EGRESS):
            _choose_egress(choices, value, key.removeprefix(_EGRESS), text)
        else:
            raise click.UsageError(
                f"--set {value}: known settings are profile=…, meshConfig.<field>=…, console.<setting>=…, "
                f"{_VALUES}<{'|'.join(REDIRECTION)}>=…, {_EGRESS}name=istio-egressgateway and {_EGRESS}enabled=true"
            )
    return choices


def _put(document: dict[str, Any], path: list[str], text: str) -> None:
    for name in path[:-1]:
        document = document.setdefault(name, {})
    document[path[-1]] = _TRUTHS.get(text, int(text) if text.isdigit() else text)


def _choose_egress(choices: Choices, value: str, name: str, text: str) -> None:
    if name == "enabled" and text in _TRUTHS:
        choices.egress_gateway = _TRUTHS[text]
    elif (name, text) != ("name", "istio-egressgateway"):
        raise click.UsageError(f"--set {value}: there is enabled=true or false, and name=istio-egressgateway")


async def run_install(kubeconfig: Path, settings: InstallSettings) -> None:
    """Apply the installation and wait until its parts are ready, one line a part."""
    from kaiki.app.installation import install
    from kaiki.app.readiness import wait_for_deployments
    from kaiki.kube.client import KubeClient
    from kaiki.kube.config import load_config

    async with KubeClient(load_config(kubeconfig)) as client:
        applied = await install(client, settings)
        click.echo(f"✔ {len(applied)} objects applied")
        names = [obj["metadata"]["name"] for obj in applied if obj["kind"] == "Deployment"]
        async for name in wait_for_deployments(client, settings.namespace, names, READY_TIMEOUT_SECONDS):
            click.echo(f"✔ {PARTS.get(name, name)} ready")


@click.command()
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A setting, as in: --set profile=default.")
@click.option("--skip-confirmation", "-y", is_flag=True, help="Do not ask.")
@metrics_url_option
@tracing_url_option
@click.option("--read-only", is_flag=True, help="Let the console refuse every change, whoever asks for it.")
def command(
    values: tuple[str, ...], skip_confirmation: bool, metrics_url: str, tracing_url: str, read_only: bool
) -> None:
    """Install the control plane, gateway, metrics store and console (`kaiki up` has done this already).

    Installing again over an installation changes only what differs. Login with accounts: --set console.oidc.issuer=…,
    console.oidc.clientId=… and others (see `kaiki console --help`), with the client's secret in the Secret
    kaiki-console-oidc of istio-system, key client-secret.
    """
    settings = parse_settings(values)
    console = console_options(settings.console, read_only)
    home = current_home()
    with explained():
        require_running(home)
        profile = settings.profile
        if not skip_confirmation:
            click.confirm(f"Install the profile '{profile}' into the mesh of {home.path}?", abort=True)
        from kaiki.app.installation import local_settings, remember_console
        from kaiki.manifests.settings import Profile

        home.prepare()
        remember_console(home, console)
        chosen = local_settings(
            home,
            Profile(profile),
            metrics_url,
            tracing_url,
            settings.mesh_config,
            settings.egress_gateway,
            settings.values,
        )
        asyncio.run(run_install(home.kubeconfig, chosen))
    click.echo("✔ Installation complete")
