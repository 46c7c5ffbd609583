"""What `kaiki install` does: render the manifests for where they go, and apply them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import kaiki
from kaiki.app.home import Home
from kaiki.app.proxies import gateway_arguments
from kaiki.kube.client import KubeClient
from kaiki.kube.manifest import Progress, apply_objects
from kaiki.kube.resource import Object
from kaiki.manifests.install import install_manifests
from kaiki.manifests.settings import InstallSettings, Platform, Profile
from kaiki.resources.crds import custom_resource_definitions


def console_token(home: Home) -> str:
    """The console's access token, made once per home and readable by its owner only."""
    home.prepare()
    if not home.console_token.exists():
        home.console_token.touch(mode=0o600)
        home.console_token.write_text(secrets.token_urlsafe(32))
    return home.console_token.read_text().strip()


def local_settings(home: Home, profile: Profile = Profile.DEFAULT) -> InstallSettings:
    """The installation of this machine: the metrics store is a folder of the home."""
    settings = InstallSettings(
        version=kaiki.__version__,
        platform=Platform.LOCAL,
        console_token=console_token(home),
        profile=profile,
        definitions=tuple(custom_resource_definitions()),
        metrics_folder=str(home.metrics),
    )
    return replace(settings, gateway_arguments=gateway_arguments(settings.capture, settings.namespace))


async def install(
    client: KubeClient, settings: InstallSettings, progress: Callable[[Progress], None] | None = None
) -> list[Object]:
    """Apply an installation; applying it again changes only what differs."""
    return await apply_objects(client, install_manifests(settings), field_manager="kaiki-install", progress=progress)
