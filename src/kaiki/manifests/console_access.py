"""What an installation tells its console about access: arguments, the client's secret, the right to act as others."""

from __future__ import annotations

from kaiki.manifests.objects import Object, rule
from kaiki.manifests.settings import ConsoleOptions, OidcOptions

OIDC_VOLUME = "oidc"
OIDC_PATH = "/var/run/secrets/oidc"
CLIENT_SECRET_KEY = "client-secret"


def console_arguments(console: ConsoleOptions) -> list[str]:
    """The flags of `kaiki console`; what is not chosen is left to it."""
    told = {"--external-url": console.external_url, "--session-hours": console.session_hours or ""}
    flags = ["--read-only"] if console.read_only else []
    flags += [f"{name}={value}" for name, value in told.items() if value]
    return flags + (_oidc_arguments(console.oidc) if console.oidc is not None else [])


def _oidc_arguments(oidc: OidcOptions) -> list[str]:
    told = {
        "issuer": oidc.issuer,
        "client-id": oidc.client_id,
        "client-secret-file": f"{OIDC_PATH}/{CLIENT_SECRET_KEY}" if oidc.secret_name else "",
        "ca-file": f"{OIDC_PATH}/{oidc.ca_key}" if oidc.secret_name and oidc.ca_key else "",
        "username-claim": oidc.username_claim,
        "username-prefix": oidc.username_prefix,
        "groups-claim": oidc.groups_claim,
        "groups-prefix": oidc.groups_prefix,
        "identity": oidc.acts_by,
        "name": oidc.name,
    }
    flags = [f"--oidc-{name}={value}" for name, value in told.items() if value]
    return [*flags, *(f"--oidc-scope={one}" for one in oidc.scopes), *(f"--oidc-group={one}" for one in oidc.groups)]


def oidc_volume(oidc: OidcOptions) -> Object:
    """The Secret with what proves the client to the provider."""
    return {"name": OIDC_VOLUME, "secret": {"secretName": oidc.secret_name}}


def impersonation_rules(oidc: OidcOptions) -> list[Object]:
    """The right to act as whoever has logged in, only where the API server does not know them by their token.

    It is a strong one. Where the groups that may open the console are named, it is for those groups alone.
    """
    if oidc.acts_by != "impersonate":
        return []
    named = [oidc.groups_prefix + group for group in oidc.groups]
    return [rule("", ["users"], ["impersonate"]), rule("", ["groups"], ["impersonate"], named)]
