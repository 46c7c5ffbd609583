"""What a console is told about its OpenID provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEFAULT_SCOPES = ("openid", "profile", "email")


class ActsBy(StrEnum):
    """How the Kubernetes API knows somebody: by their ID token, which it must trust, or by the console's word."""

    TOKEN = "token"
    IMPERSONATION = "impersonate"


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """A provider, what is asked of it, and what its claims mean.

    `groups` are those that may open the console; without any, Kubernetes decides. Prefixes go before names and groups,
    as the API server's own `--oidc-username-prefix` does. `name` is what the button calls the provider.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    username_claim: str = "email"
    username_prefix: str = ""
    groups_claim: str = "groups"
    groups_prefix: str = ""
    groups: tuple[str, ...] = ()
    acts_by: ActsBy = ActsBy.TOKEN
    ca_file: Path | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """What people know the provider by."""
        return self.name or urlsplit(self.issuer).hostname or self.issuer

    def read_secret(self) -> str:
        """The client's secret as it is now: a mounted Secret may change. Raises OSError."""
        return self.client_secret_file.read_text().strip() if self.client_secret_file else self.client_secret


def check_address(url: str, what: str) -> None:
    """Raise ValueError unless it is https, or http to this very machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return
    raise ValueError(f"{what} {url!r} is no https address")
