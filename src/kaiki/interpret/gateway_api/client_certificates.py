"""The certificate a Gateway shows to backends that it calls by TLS: `spec.tls.backend.clientCertificateRef`."""

from __future__ import annotations

from typing import NamedTuple

from kaiki.interpret.gateway_api.grants import Grants
from kaiki.interpret.gateway_api.objects import Object, Problem, reference
from kaiki.model.credential import Credentials
from kaiki.resources import core


class ClientCertificate(NamedTuple):
    """The Secret (namespace, name), if the Gateway may refer to it, and what is wrong with it."""

    secret: tuple[str, str] | None
    problem: Problem | None


def client_certificate(gateway: Object, grants: Grants, credentials: Credentials) -> ClientCertificate | None:
    """What a Gateway shows its backends; None if it shows nothing."""
    ref = ((core.spec(gateway).get("tls") or {}).get("backend") or {}).get("clientCertificateRef")
    if not ref:
        return None
    target = reference(ref, core.namespace(gateway), "", "Secret")
    if (target.group, target.kind) != ("", "Secret"):
        return ClientCertificate(None, Problem("InvalidClientCertificateRef", f"{target.text} is no Secret."))
    if not grants.allow("Gateway", core.namespace(gateway), target):
        message = f"no ReferenceGrant in namespace {target.namespace} allows Gateways of {core.namespace(gateway)} to "
        return ClientCertificate(None, Problem("RefNotPermitted", f"{message}refer to {target.text}."))
    known = credentials.get((target.namespace, target.name))
    wrong = known.pair_problem if known is not None else "it has not been read yet"
    message = f"{target.text} cannot be used: {wrong}. Backends are called without a certificate."
    problem = Problem("InvalidClientCertificateRef", message) if wrong else None
    return ClientCertificate((target.namespace, target.name), problem)
