"""Who is asking: by client certificate or bearer token, and as whom (impersonation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from kaiki.apiserver.authorization import Attributes, Authorizer
from kaiki.apiserver.errors import bad_request
from kaiki.apiserver.requests import User
from kaiki.apiserver.tokens import TokenAuthority

if TYPE_CHECKING:
    from aiohttp import web

AUTHENTICATED = "system:authenticated"
_EXTRA = "impersonate-extra-"


class Authenticator:
    """Knows users by what their connection or their header carries."""

    def __init__(self, tokens: TokenAuthority, authorizer: Authorizer) -> None:
        self._tokens = tokens
        self._authorizer = authorizer

    def identify(self, http: web.BaseRequest) -> User:
        """The user of a request. ApiError 401 when nobody is known by it, 403 when they may not act as another."""
        authorization = http.headers.get("Authorization", "")
        certificate = http.get_extra_info("peercert") if not authorization else None
        user = certificate_user(certificate) if certificate else None
        user = user or self._tokens.authenticate(authorization)
        if "Impersonate-User" in http.headers:
            return self._impersonate(user, http.headers)
        return user

    def _impersonate(self, user: User, headers: Any) -> User:
        name = headers["Impersonate-User"]
        groups = list(headers.getall("Impersonate-Group", []))
        extra: dict[str, list[str]] = {}
        for key, text in headers.items():
            if key.lower().startswith(_EXTRA):
                extra.setdefault(unquote(key[len(_EXTRA) :].lower()), []).append(text)
        for wanted in impersonated(name, groups, extra):
            self._authorizer.require(user, wanted)
        return acting_user(name, groups, headers.get("Impersonate-Uid", ""), extra)


def impersonated(name: str, groups: list[str], extra: Mapping[str, list[str]]) -> list[Attributes]:
    """What somebody needs to be allowed who wants to act as this user."""
    account = name.split(":")
    if name.startswith("system:serviceaccount:") and len(account) == 4:
        first = Attributes("impersonate", "", "serviceaccounts", "", account[3], account[2])
    else:
        first = Attributes("impersonate", "", "users", "", name)
    others = [Attributes("impersonate", "", "groups", "", group) for group in groups]
    for key, values in extra.items():
        others += [Attributes("impersonate", "authentication.k8s.io", "userextras", key, value) for value in values]
    return [first, *others]


def acting_user(name: str, groups: list[str], uid: str, extra: Mapping[str, list[str]]) -> User:
    """The user to act as; a service account has its groups by its name."""
    if not name:
        raise bad_request("requested impersonation without a user name")
    account = name.split(":")
    if not groups and name.startswith("system:serviceaccount:") and len(account) == 4:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[2]}"]
    if name != "system:anonymous" and AUTHENTICATED not in groups:
        groups = [*groups, AUTHENTICATED]
    return User(name, tuple(groups), uid, extra)


def certificate_user(certificate: Mapping[str, Any]) -> User | None:
    """The user a verified client certificate is for: its common name, with its organizations as groups."""
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in pairs if key == "commonName"), "")
    if not name:
        return None
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return User(name, (*groups, AUTHENTICATED))
