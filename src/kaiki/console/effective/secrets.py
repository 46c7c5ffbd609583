"""Certificates a proxy has: who they are for, who issued them, how long they are good. Keys never come here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from kaiki.console.effective.origins import of_secret
from kaiki.console.effective.resources import ToldResource
from kaiki.console.effective.rows import SecretRow

Object = dict[str, Any]
_OWN = "default"
"""The name, in SDS, of a workload's own certificate."""


def read_secret(told: ToldResource, namespace: str, certificate: Object | None, now: datetime) -> Iterator[SecretRow]:
    """One row for each certificate; `certificate` is what the control plane tells of the proxy's own."""
    secret = secret_pb2.Secret.FromString(told.body)
    chain = secret.tls_certificate.certificate_chain.inline_bytes
    roots = secret.validation_context.trusted_ca.inline_bytes
    kind = "roots" if roots else "certificate" if chain or told.name == _OWN else "other"
    own = certificate or {} if told.name == _OWN else {}
    found = _parse(chain or roots)
    origins = of_secret(told.name, namespace)
    common: Object = {"origins": origins, "origin_count": len(origins), "state": told.state}
    if not found:
        yield _unread(told.name, kind, own, now, common)
    for position, item in enumerate(found):
        yield SecretRow(
            name=told.name,
            kind=kind,
            names=_names(item) or ((str(own.get("identity", "")),) if own and not position else ()),
            subject=item.subject.rfc4514_string(),
            issuer=item.issuer.rfc4514_string(),
            serial=f"{item.serial_number:x}",
            valid_from=item.not_valid_before_utc.isoformat(),
            valid_to=item.not_valid_after_utc.isoformat(),
            days_left=(item.not_valid_after_utc - now).total_seconds() / 86400,
            rotates=str(own.get("rotates_at", "")) if not position else "",
            **common,
        )


def _unread(name: str, kind: str, own: Object, now: datetime, common: Object) -> SecretRow:
    """A proxy's own certificate that another control plane issued: its version tells when it ends."""
    ends = str(own.get("expires_at", ""))
    left = (datetime.fromisoformat(ends).astimezone(UTC) - now).total_seconds() / 86400 if ends else None
    names = (str(own["identity"]),) if own.get("identity") else ()
    begins, rotates = str(own.get("issued_at", "")), str(own.get("rotates_at", ""))
    return SecretRow(name, kind, names, "", "", "", begins, ends, left, rotates, **common)


def _parse(pem: bytes) -> list[Any]:
    from cryptography import x509

    try:
        return list(x509.load_pem_x509_certificates(pem)) if pem else []
    except ValueError:
        return []


def _names(certificate: Any) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(item.value) for item in found)
