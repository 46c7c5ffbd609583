"""The authority at work: it holds the root, makes keys, and issues. No key it makes is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kaiki.authority.issue import (
    LEAF_LIFETIME,
    SERVING_NAMES,
    Root,
    self_signed_root,
    serving_certificate,
    workload_certificate,
)
from kaiki.authority.version import holder_digest, parse_version, root_digest, version_of
from kaiki.model.identity import Identity, WorkloadLabels


class AuthorityError(Exception):
    """The authority cannot work; the text names the Secret, what is wrong with it and what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its private key, PEM. `rotate_at` is when to ask for the next."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    rotate_at: datetime


@dataclass(frozen=True, slots=True)
class WorkloadPair:
    """A workload's certificate chain and key, PEM, under the version a proxy will present for it."""

    version: str
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


def utc_now() -> datetime:
    """The clock authorities use unless told otherwise."""
    return datetime.now(UTC)


class CertificateAuthority:
    """Issues certificates under one root."""

    def __init__(
        self, root: Root, *, clock: Callable[[], datetime] = utc_now, lifetime: timedelta = LEAF_LIFETIME
    ) -> None:
        self._root = root
        self._clock = clock
        self._lifetime = lifetime
        self._root_digest = root_digest(root.bundle_pem)

    @property
    def root_certificates(self) -> bytes:
        """What the mesh trusts: one or more PEM certificates."""
        return self._root.bundle_pem

    @property
    def root_ends_at(self) -> datetime:
        """When the root can no longer be used."""
        return self._root.certificate.not_valid_after_utc

    def issue(self, identity: Identity, labels: WorkloadLabels) -> WorkloadPair:
        """A new key and certificate for a workload. The caller has proved who it is."""
        now, key = self._clock(), new_key()
        certificate = workload_certificate(
            self._root, key.public_key(), identity, labels, x509.random_serial_number(), now, self._lifetime
        )
        version = version_of(certificate, now, self._root.bundle_pem, identity, labels)
        return WorkloadPair(str(version), pem_of_certificate(certificate), pem_of_key(key))

    def rotation_time(self, version: str, identity: Identity, labels: WorkloadLabels) -> datetime | None:
        """When the certificate of this version is to be replaced; None if it must be now.

        Now: it is not one of ours, was signed under other roots, says something else about its holder, or is due.
        """
        held = parse_version(version)
        if held is None or held.root != self._root_digest or held.holder != holder_digest(identity, labels):
            return None
        return held.rotate_at if self._clock() < held.rotate_at else None

    def expiry_time(self, version: str) -> datetime | None:
        """When the certificate of this version ends; None if it is not one of ours."""
        held = parse_version(version)
        return None if held is None else datetime.fromtimestamp(held.expiry_seconds, UTC)

    def issue_time(self, version: str) -> datetime | None:
        """When the certificate of this version was issued; None if it is not one of ours."""
        held = parse_version(version)
        return None if held is None else datetime.fromtimestamp(held.expiry_seconds - held.lifetime_seconds, UTC)

    def serving_pair(self, dns_names: Sequence[str] = SERVING_NAMES) -> KeyPair:
        """A new key and certificate for one of our own servers."""
        now, key = self._clock(), new_key()
        certificate = serving_certificate(
            self._root, key.public_key(), dns_names, x509.random_serial_number(), now, self._lifetime
        )
        return KeyPair(pem_of_certificate(certificate), pem_of_key(key), now + self._lifetime * 0.8)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def new_root(now: datetime, organization: str = "cluster.local") -> Root:
    """A fresh self-signed root."""
    key = new_key()
    certificate = self_signed_root(key, x509.random_serial_number(), now, organization)
    return Root(certificate, key, pem_of_certificate(certificate))


def load_root(certificate_pem: bytes, key_pem: bytes, bundle_pem: bytes = b"") -> Root:
    """A root from PEM. `bundle_pem` are further roots to trust while a root is being replaced.

    Raises AuthorityError when they are not a certificate authority and its key.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, password=None)
    except ValueError as error:
        raise AuthorityError(f"ca-cert.pem or ca-key.pem cannot be read as PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError("ca-key.pem is not an elliptic-curve key; give a P-256 key in PKCS #8 or SEC 1 form")
    if certificate.public_key() != key.public_key():
        raise AuthorityError("ca-cert.pem and ca-key.pem do not belong together")
    trusted = pem_of_certificate(certificate)
    if bundle_pem.strip() and bundle_pem.strip() != trusted.strip():
        trusted += bundle_pem
    return Root(certificate, key, trusted)


def pem_of_certificate(certificate: x509.Certificate) -> bytes:
    """PEM text of a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM text of a private key (PKCS #8, not encrypted)."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
