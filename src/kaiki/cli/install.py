"""`kaiki install`: put the control plane, the gateway, the metrics store and the console into the mesh."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kaiki.app.home import current_home
from kaiki.app.machine import require_running
from kaiki.cli.failure import explained

if TYPE_CHECKING:
    from kaiki.manifests.settings import InstallSettings

PARTS = {
    "istiod": "Control plane",
    "istio-ingressgateway": "Ingress gateway",
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


def parse_settings(values: tuple[str, ...]) -> dict[str, str]:
    """`--set` values as a mapping; only the keys this version has are accepted."""
    known = {"profile": ("default", "minimal", "empty")}
    settings = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or key not in known:
            raise click.UsageError(f"--set {value}: known settings are " + ", ".join(f"{name}=…" for name in known))
        if text not in known[key]:
            raise click.UsageError(f"--set {value}: {key} is one of {', '.join(known[key])}")
        settings[key] = text
    return settings


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
def command(values: tuple[str, ...], skip_confirmation: bool, metrics_url: str, tracing_url: str) -> None:
    """Install the control plane, gateway, metrics store and console (`kaiki up` has done this already).

    Installing again over an installation changes only what differs.
    """
    settings = parse_settings(values)
    home = current_home()
    with explained():
        require_running(home)
        profile = settings.get("profile", "default")
        if not skip_confirmation:
            click.confirm(f"Install the profile '{profile}' into the mesh of {home.path}?", abort=True)
        from kaiki.app.installation import local_settings
        from kaiki.manifests.settings import Profile

        asyncio.run(run_install(home.kubeconfig, local_settings(home, Profile(profile), metrics_url, tracing_url)))
    click.echo("✔ Installation complete")
