"""`kaiki control-plane`: configuration, certificates and injection for the proxies of the mesh."""

from __future__ import annotations

import asyncio
import logging

import click


@click.command()
@click.option("--namespace", default="istio-system", show_default=True, help="Where the control plane is installed.")
@click.option(
    "--capture",
    type=click.Choice(["mark", "uid"]),
    default="uid",
    show_default=True,
    help="How proxies' own traffic is told apart.",
)
def command(namespace: str, capture: str) -> None:
    """Run the control plane."""
    from kaiki.app.control_plane import ControlPlaneSettings, run_control_plane
    from kaiki.kube.config import load_config
    from kaiki.model.proxy import Capture

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(
        run_control_plane(ControlPlaneSettings(kube=load_config(), namespace=namespace, capture=Capture(capture)))
    )
