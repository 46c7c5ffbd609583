"""What `kaiki install --set console.…` says of the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from kaiki.manifests.settings import ConsoleOptions

PREFIX = "console."
_TEXT: Callable[[str], Any] = str


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.replace(",", " ").split() if part)


def _identity(text: str) -> str:
    if text not in ("token", "impersonate"):
        raise ValueError("it is token or impersonate")
    return text


def _hours(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 24 * 30:
        raise ValueError("it is a number of hours, 1 to 720")
    return int(text)


def _external_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("it is an address without a path, as https://mesh.example.org")
    return text


def _url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("it is an http or https address")
    return text


_CONSOLE: dict[str, tuple[str, Callable[[str], Any]]] = {
    "externalUrl": ("external_url", _external_url),
    "sessionHours": ("session_hours", _hours),
}
_OIDC: dict[str, tuple[str, Callable[[str], Any]]] = {
    "oidc.issuer": ("issuer", _url),
    "oidc.clientId": ("client_id", _TEXT),
    "oidc.secretName": ("secret_name", _TEXT),
    "oidc.caKey": ("ca_key", _TEXT),
    "oidc.scopes": ("scopes", _list),
    "oidc.usernameClaim": ("username_claim", _TEXT),
    "oidc.usernamePrefix": ("username_prefix", _TEXT),
    "oidc.groupsClaim": ("groups_claim", _TEXT),
    "oidc.groupsPrefix": ("groups_prefix", _TEXT),
    "oidc.groups": ("groups", _list),
    "oidc.identity": ("acts_by", _identity),
    "oidc.name": ("name", _TEXT),
}


def check_console_setting(key: str, text: str) -> tuple[str, Any]:
    """A setting without its prefix, read. Raises UsageError for one that is unknown or cannot be read."""
    known = _CONSOLE | _OIDC
    if key not in known:
        names = ", ".join(PREFIX + name for name in known)
        raise click.UsageError(f"--set {PREFIX}{key}={text}: of the console there are {names}")
    try:
        return key, known[key][1](text)
    except ValueError as error:
        raise click.UsageError(f"--set {PREFIX}{key}={text}: {error}") from error


def console_options(values: dict[str, Any], read_only: bool) -> ConsoleOptions:
    """All settings together. Raises UsageError for half a provider."""
    from kaiki.manifests.settings import ConsoleOptions, OidcOptions

    oidc = {_OIDC[key][0]: value for key, value in values.items() if key in _OIDC}
    if oidc and not (oidc.get("issuer") and oidc.get("client_id")):
        raise click.UsageError("--set console.oidc.…: issuer and clientId belong together, and are needed")
    own = {_CONSOLE[key][0]: value for key, value in values.items() if key in _CONSOLE}
    return ConsoleOptions(read_only=read_only, oidc=OidcOptions(**oidc) if oidc else None, **own)
