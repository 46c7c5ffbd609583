"""Secrets that Gateways name: what is known of them, never what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GATEWAY_SECRETS = "kubernetes://"
"""What the SDS names of such Secrets begin with."""
SHARED_SECRETS = "kubernetes-gateway://"
"""The same for Secrets named with their namespace (`kubernetes-gateway://namespace/name`), as in the Gateway API."""
ROOTS_SUFFIX = "-cacert"
"""A Secret of this name beside a server's own holds what its clients' certificates are verified by (Istio's rule)."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One Secret of a gateway's namespace, which may not exist.

    The problems say why it cannot serve as certificate and key (`pair_problem`) or as roots (`roots_problem`); empty if
    it can. `version` changes with the contents. `for_sidecars` says that the sidecars which need it may have it, too.
    """

    namespace: str
    name: str
    version: str = ""
    exists: bool = False
    pair_problem: str = ""
    roots_problem: str = ""
    for_sidecars: bool = False


Credentials = Mapping[tuple[str, str], Credential]
"""(namespace, name) → what was read. What is not in it has not been looked for yet."""


def roots_names(name: str) -> tuple[str, str]:
    """The Secrets that may hold the roots of a server whose credential has this name; the first that does counts."""
    return name + ROOTS_SUFFIX, name


def find_roots(credentials: Credentials, namespace: str, name: str) -> Credential | None:
    """The Secret with the roots; None while unknown, and one with a `roots_problem` if none has them."""
    known = [credentials.get((namespace, one)) for one in roots_names(name)]
    found = [one for one in known if one is not None]
    if len(found) < len(known):
        return None
    return next((one for one in found if not one.roots_problem), found[-1])
