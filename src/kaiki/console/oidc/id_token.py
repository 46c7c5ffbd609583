"""Whether an ID token is good: signature, issuer, audience, times, nonce. And who it says somebody is."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kaiki.console.oidc.errors import LoginRefused
from kaiki.console.oidc.settings import ActsBy, OidcSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""By key pairs only: with a shared secret (HS256), or none, whoever knows the client could say who somebody is."""
LEEWAY_SECONDS = 60
_RESERVED = "system:"
Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """Who somebody is to Kubernetes."""

    user: str
    groups: tuple[str, ...]


def read_header(token: str) -> tuple[str, str]:
    """The algorithm and the key's id (empty when it names none) that a token says it is signed with."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise LoginRefused("badToken", f"it is no signed token: {error}") from error
    if header.get("alg") not in ALGORITHMS:
        raise LoginRefused("badToken", f"it is signed with {header.get('alg')!r}, which proves nothing")
    return str(header["alg"]), str(header.get("kid") or "")


def verify(token: str, keys: Iterable[Mapping[str, Any]], settings: OidcSettings, clock: Callable[[], float]) -> Claims:
    """Its claims. Raises LoginRefused when it is not for us, not of this issuer, not signed by it, or not of now."""
    claims = _verify_signature(token, list(keys), settings)
    audience = claims["aud"]
    authorized = claims.get("azp")
    if authorized not in (None, settings.client_id) or (
        isinstance(audience, list) and len(audience) > 1 and authorized is None
    ):
        raise LoginRefused("badToken", f"it was made for the client {authorized!r} (azp), not for this one")
    _check_times(claims, clock())
    return claims


def _verify_signature(token: str, keys: list[Mapping[str, Any]], settings: OidcSettings) -> Claims:
    import jwt

    algorithm, wanted = read_header(token)
    problem = f"it is signed with the key {wanted!r} by {algorithm}, which the provider does not list"
    for key in keys:
        if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            continue
        if wanted and key.get("kid") != wanted:
            continue
        try:
            claims: Claims = jwt.decode(
                token,
                jwt.PyJWK.from_dict(dict(key), algorithm),
                algorithms=[algorithm],
                audience=settings.client_id,
                issuer=settings.issuer,
                options={  # Times are checked below, with better words.
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            return claims
        except jwt.PyJWTError as error:
            problem = str(error)
    raise LoginRefused("badToken", problem)


def _check_times(claims: Claims, now: float) -> None:
    try:
        issued, expiry, start = (float(claims.get(name, now)) for name in ("iat", "exp", "nbf"))
    except (TypeError, ValueError) as error:
        raise LoginRefused("badToken", f"its times are no numbers: {error}") from error
    if expiry + LEEWAY_SECONDS <= now:
        raise LoginRefused("clocksDiffer", f"it ended {round(now - expiry)} s ago")
    if issued - LEEWAY_SECONDS > now or start - LEEWAY_SECONDS > now:
        raise LoginRefused("clocksDiffer", f"it begins in {round(max(issued, start) - now)} s")


def check_nonce(claims: Claims, nonce: str) -> None:
    """Raise LoginRefused unless the token was made for this very login."""
    if not hmac.compare_digest(str(claims.get("nonce") or "").encode(), nonce.encode()):
        raise LoginRefused("otherLogin")


def name(claims: Claims, settings: OidcSettings) -> Named:
    """The user and the groups that the claims mean. Raises LoginRefused when they name nobody."""
    found = claims.get(settings.username_claim)
    if not isinstance(found, str) or not found.strip() or not found.isprintable():
        told = f"{settings.username_claim!r}; there are {', '.join(sorted(claims))}"
        raise LoginRefused("noName", told)
    if settings.username_claim == "email" and claims.get("email_verified", True) is not True:
        raise LoginRefused("emailNotVerified", found)
    groups = claims.get(settings.groups_claim) or []
    groups = [groups] if isinstance(groups, str) else groups
    named = [settings.groups_prefix + one for one in groups if isinstance(one, str) and one and one.isprintable()]
    user = settings.username_prefix + found
    if settings.acts_by is ActsBy.IMPERSONATION:  # Kubernetes's own: nobody becomes them by what a provider says.
        named = [one for one in named if not one.startswith(_RESERVED)]
        if settings.groups:  # The right to act as groups may be for these alone.
            named = [one for one in named if one in {settings.groups_prefix + group for group in settings.groups}]
        if user.startswith(_RESERVED):
            raise LoginRefused("reservedName", user)
    return Named(user, tuple(named))
