"""What `kaiki console` is told about login by OpenID Connect: flags, each with a variable of the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kaiki.console.oidc.settings import OidcSettings

SECRET_VARIABLE = "KAIKI_OIDC_CLIENT_SECRET"
_FILE = click.Path(dir_okay=False, path_type=Path)


def _option(name: str, help_text: str, **rest: Any) -> Callable[[Any], Any]:
    variable = "KAIKI_OIDC_" + name.upper().replace("-", "_")
    return click.option(f"--oidc-{name}", help=help_text, envvar=variable, show_envvar=True, **rest)


_OPTIONS = [
    _option("issuer", "The provider's issuer, to the letter: https://accounts.example.org.", default="", metavar="URL"),
    _option("client-id", "This console's name at the provider.", default="", metavar="ID"),
    _option(
        "client-secret-file",
        f"A file with the client's secret (or {SECRET_VARIABLE}); none for public clients.",
        type=_FILE,
    ),
    _option(
        "scope",
        "Asked for; repeat it. openid, profile and email when none is named. Many providers give a refresh token for "
        "offline_access, which keeps sessions going, and groups for groups.",
        multiple=True,
    ),
    _option("username-claim", "The claim that names people.", default="email", show_default=True),
    _option("username-prefix", "Goes before names, as in the API server's option of that name.", default=""),
    _option("groups-claim", "The claim with their groups.", default="groups", show_default=True),
    _option("groups-prefix", "Goes before groups.", default=""),
    _option("group", "Who may open the console: members of this group (without its prefix); repeat it.", multiple=True),
    _option(
        "identity",
        "How the Kubernetes API knows people: by their ID token, or by the console's word (impersonation).",
        type=click.Choice(["token", "impersonate"]),
        default="token",
        show_default=True,
    ),
    _option("ca-file", "The CA bundle that the provider's certificate is checked with.", type=_FILE),
    _option("name", "What the login button calls the provider; its host when empty.", default=""),
]


def login_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_login_options(**given: Any) -> OidcSettings | None:
    """What they say together; None without an issuer. Raises UsageError for half a configuration."""
    from kaiki.console.oidc.settings import DEFAULT_SCOPES, ActsBy, OidcSettings, check_address

    issuer, client = given["oidc_issuer"], given["oidc_client_id"]
    if not issuer and not client:
        return None
    if not issuer or not client:
        raise click.UsageError("--oidc-issuer and --oidc-client-id belong together: the provider names both")
    try:
        check_address(issuer, "--oidc-issuer")
    except ValueError as error:
        raise click.UsageError(f"{error} (http is for providers on this very machine)") from error
    scopes = tuple(given["oidc_scope"]) or DEFAULT_SCOPES
    return OidcSettings(
        issuer=issuer,
        client_id=client,
        client_secret=os.environ.get(SECRET_VARIABLE, ""),
        client_secret_file=given["oidc_client_secret_file"],
        scopes=scopes if "openid" in scopes else ("openid", *scopes),
        username_claim=given["oidc_username_claim"],
        username_prefix=given["oidc_username_prefix"],
        groups_claim=given["oidc_groups_claim"],
        groups_prefix=given["oidc_groups_prefix"],
        groups=tuple(given["oidc_group"]),
        acts_by=ActsBy(given["oidc_identity"]),
        ca_file=given["oidc_ca_file"],
        name=given["oidc_name"],
    )
