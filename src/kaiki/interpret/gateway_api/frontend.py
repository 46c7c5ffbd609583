"""What a Gateway verifies the certificates of its clients by: `spec.tls.frontend`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kaiki.interpret.gateway_api.grants import Grants
from kaiki.interpret.gateway_api.objects import Object, Problem, Reference, reference
from kaiki.resources import core

Pems = Mapping[Any, bytes]
"""(namespace, name) of a ConfigMap → its `ca.crt`; empty if it has none or does not exist."""


class FrontendRoots(NamedTuple):
    """The roots, PEM; whether who shows none of theirs is let in; and what is wrong."""

    pem: bytes
    insecure: bool
    problem: Problem | None


def frontend_references(gateway: Object) -> Iterator[Reference]:
    """All ConfigMaps a Gateway names for its clients."""
    frontend = (core.spec(gateway).get("tls") or {}).get("frontend") or {}
    for settings in (frontend.get("default") or {}, *(item.get("tls") or {} for item in frontend.get("perPort") or ())):
        for ref in (settings.get("validation") or {}).get("caCertificateRefs") or ():
            yield reference(ref, core.namespace(gateway), "", "ConfigMap")


def frontend_roots(gateway: Object, port: int, grants: Grants, pem_of: Pems) -> FrontendRoots | None:
    """How clients of a port are verified; None if they are not."""
    frontend = (core.spec(gateway).get("tls") or {}).get("frontend") or {}
    own = next((item.get("tls") for item in frontend.get("perPort") or () if item.get("port") == port), None)
    validation = ((own if own is not None else frontend.get("default")) or {}).get("validation")
    if not validation:
        return None
    found, problem = [], None
    for ref in validation.get("caCertificateRefs") or ():
        target = reference(ref, core.namespace(gateway), "", "ConfigMap")
        pem = pem_of.get((target.namespace, target.name), b"")
        if (target.group, target.kind) != ("", "ConfigMap"):
            problem = Problem("InvalidCACertificateKind", f"{target.text} is no ConfigMap.")
        elif not grants.allow("Gateway", core.namespace(gateway), target):
            problem = Problem("RefNotPermitted", f"no ReferenceGrant allows this Gateway to refer to {target.text}.")
        elif not pem:
            problem = Problem("InvalidCACertificateRef", f"{target.text} has no ca.crt with a certificate.")
        else:
            found.append(pem)
    return FrontendRoots(b"\n".join(found), validation.get("mode") == "AllowInsecureFallback", problem)
