"""What `kaiki install` does: render the manifests for where they go, and apply them."""

from __future__ import annotations

import secrets
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

import kaiki
from kaiki.app.definitions import definitions
from kaiki.app.home import Home, HomeError
from kaiki.app.machine import MachineError
from kaiki.app.proxies import gateway_arguments
from kaiki.kube.client import KubeClient
from kaiki.kube.manifest import Progress, apply_objects
from kaiki.kube.resource import SECRETS, Object
from kaiki.manifests.console_access import CLIENT_SECRET_KEY
from kaiki.manifests.gateway import EGRESS_NAME
from kaiki.manifests.install import install_manifests
from kaiki.manifests.settings import ConsoleOptions, InstallSettings, Platform, Profile
from kaiki.names.table import HOST_ALIAS_NAME


def console_token(home: Home) -> str:
    """The console's access token, made once per home and readable by its owner only."""
    home.prepare()
    if not home.console_token.exists():
        home.console_token.touch(mode=0o600)
        home.console_token.write_text(secrets.token_urlsafe(32))
    return home.console_token.read_text().strip()


def remember_console(home: Home, options: ConsoleOptions) -> None:
    """Keep what `kaiki install` chose: the next `kaiki up` must not open what it closed."""
    home.console_options.write_bytes(msgspec.json.encode(options))


def recall_console(home: Home) -> ConsoleOptions:
    """What was chosen last; the usual when nothing was. Raises HomeError when it cannot be read."""
    try:
        return msgspec.json.decode(home.console_options.read_bytes(), type=ConsoleOptions)
    except FileNotFoundError:
        return ConsoleOptions()
    except (OSError, msgspec.MsgspecError) as error:
        told = f"{home.console_options}: who may use the console cannot be read ({error}). Install again: kaiki install"
        raise HomeError(told) from error


def seen_from_pods(url: str) -> str:
    """A URL of this machine's loopback as pods reach it; others as they are."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return url
    address = HOST_ALIAS_NAME if parts.port is None else f"{HOST_ALIAS_NAME}:{parts.port}"
    return parts._replace(netloc=address).geturl()


def local_settings(
    home: Home,
    profile: Profile = Profile.DEFAULT,
    metrics_url: str = "",
    tracing_url: str = "",
    mesh_config: Mapping[str, Any] | None = None,
    egress_gateway: bool = False,
    values: Mapping[str, Any] | None = None,
) -> InstallSettings:
    """The installation of this machine: metrics and traces are in a folder of the home, or with servers named here."""
    settings = InstallSettings(
        version=kaiki.__version__,
        platform=Platform.LOCAL,
        console_token=console_token(home),
        profile=profile,
        definitions=tuple(definitions()),
        metrics_folder=str(home.metrics),
        metrics_url=seen_from_pods(metrics_url),
        tracing_url=seen_from_pods(tracing_url),
        mesh_config=mesh_config or {},
        values=values or {},
        console=recall_console(home),
    )
    egress = egress_gateway or profile is Profile.DEMO
    return replace(
        settings,
        gateway_arguments=gateway_arguments(settings.capture, settings.namespace),
        egress_arguments=gateway_arguments(settings.capture, settings.namespace, EGRESS_NAME) if egress else (),
    )


async def install(
    client: KubeClient, settings: InstallSettings, progress: Callable[[Progress], None] | None = None
) -> list[Object]:
    """Apply an installation; applying it again changes only what differs. Raises MachineError before it half begins."""
    await _require_client_secret(client, settings)
    return await apply_objects(client, install_manifests(settings), field_manager="kaiki-install", progress=progress)


async def _require_client_secret(client: KubeClient, settings: InstallSettings) -> None:
    """A console whose provider's Secret is missing would never start."""
    oidc = settings.console.oidc
    if oidc is None or not oidc.secret_name:
        return
    found = await client.find(SECRETS, oidc.secret_name, settings.namespace)
    missing = {CLIENT_SECRET_KEY, *filter(None, [oidc.ca_key])} - set((found or {}).get("data") or {})
    if missing:
        keys = " ".join(f"--from-file={key}=…" for key in sorted(missing))
        place = f"Secret {settings.namespace}/{oidc.secret_name}"
        raise MachineError(
            f"{place} has no {' and no '.join(sorted(missing))}: the console needs it for {oidc.issuer}. Make it: "
            f"kubectl create secret generic {oidc.secret_name} -n {settings.namespace} {keys}"
        )
