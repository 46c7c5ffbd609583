"""What a workload's certificate is, in one line: the xDS version of its secret.

    <serial, hex>.<expiry, seconds>.<lifetime, seconds>.<root>.<holder>

A proxy presents the version of the secret it holds when it reconnects. From that alone a control plane that has just
been started, and has seen no key, knows whether the secret is still good, and leaves it alone if so. A version proves
nothing: a proxy that lies about it only hurts itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from kaiki.authority.issue import subject_of
from kaiki.model.identity import Identity, WorkloadLabels

_EARLIEST, _LATEST = 0.75, 0.85
"""Between which parts of its life a certificate is replaced: about 80 %, spread so that not all proxies ask at once."""


@dataclass(frozen=True, slots=True)
class CertificateVersion:
    """The facts that decide whether a certificate may stay. `root` and `holder` are digests."""

    serial: int
    expiry_seconds: int
    lifetime_seconds: int
    root: str
    holder: str

    def __str__(self) -> str:
        return f"{self.serial:x}.{self.expiry_seconds}.{self.lifetime_seconds}.{self.root}.{self.holder}"

    @property
    def rotate_at(self) -> datetime:
        """When the certificate is to be replaced. Follows from the serial number, so every control plane agrees."""
        part = _EARLIEST + (_LATEST - _EARLIEST) * (self.serial % 1000) / 1000
        issued = datetime.fromtimestamp(self.expiry_seconds - self.lifetime_seconds, UTC)
        return issued + timedelta(seconds=self.lifetime_seconds) * part


def parse_version(text: str) -> CertificateVersion | None:
    """The version a proxy presented; None if it is not one of ours."""
    parts = text.split(".")
    if len(parts) != 5:
        return None
    try:
        return CertificateVersion(int(parts[0], 16), int(parts[1]), int(parts[2]), parts[3], parts[4])
    except ValueError:
        return None


def version_of(
    certificate: x509.Certificate, now: datetime, bundle_pem: bytes, identity: Identity, labels: WorkloadLabels
) -> CertificateVersion:
    """The version of a certificate issued at `now`."""
    expiry = int(certificate.not_valid_after_utc.timestamp())
    return CertificateVersion(
        serial=certificate.serial_number,
        expiry_seconds=expiry,
        lifetime_seconds=expiry - int(now.timestamp()),
        root=root_digest(bundle_pem),
        holder=holder_digest(identity, labels),
    )


def root_digest(bundle_pem: bytes) -> str:
    """Short name of what is trusted."""
    return hashlib.sha256(bundle_pem).hexdigest()[:16]


def holder_digest(identity: Identity, labels: WorkloadLabels) -> str:
    """Short name of everything a workload's certificate says about its holder."""
    said = f"{identity}\n{subject_of(labels).rfc4514_string()}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]
