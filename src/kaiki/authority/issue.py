"""Certificates as values: a key, a serial number and a time in, a certificate out.

The subject of a workload's certificate carries what Istio's metrics say of a peer (`CN=workload, OU=app, O=version,
L=canonical service, ST=canonical revision, DC=cluster`). The other side reads it after the handshake, so that a peer
cannot claim to be somebody else; what authorizes is the one SPIFFE URI beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kaiki.model.identity import Identity, WorkloadLabels

ROOT_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=2)
"""How far certificates are dated back, for machines whose clocks are late."""

SERVING_NAMES = ("istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local", "istiod.istio-system", "localhost")

_DIGEST_LENGTH = 8
_UNSAFE = re.compile(r"[^A-Za-z0-9._/:@-]")
_SUBJECT_FIELDS: tuple[tuple[ObjectIdentifier, str, int], ...] = (
    (NameOID.DOMAIN_COMPONENT, "cluster", 63),
    (NameOID.STATE_OR_PROVINCE_NAME, "canonical_revision", 128),
    (NameOID.LOCALITY_NAME, "canonical_service", 128),
    (NameOID.ORGANIZATION_NAME, "version", 64),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "app", 64),
    (NameOID.COMMON_NAME, "workload", 64),
)
"""Attribute, field of WorkloadLabels, most characters (RFC 5280, appendix A.1: upper bounds)."""


@dataclass(frozen=True, slots=True)
class Root:
    """What certificates are signed with. `bundle_pem` is what others are to trust: roots, the current one first."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    bundle_pem: bytes

    def __repr__(self) -> str:
        return f"Root(serial={self.certificate.serial_number:x})"


def shorten(value: str, limit: int) -> str:
    """`value` in at most `limit` characters: what is cut off is replaced by a dash and a digest of the whole.

    Two long names with the same beginning stay apart, and the same name is always cut in the same way.
    """
    if len(value) <= limit:
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{value[: limit - _DIGEST_LENGTH - 1]}-{digest}"


def subject_of(labels: WorkloadLabels) -> x509.Name:
    """The subject that carries a workload's metric labels. Characters that a name would have to escape become `_`."""
    attributes: list[x509.NameAttribute[str]] = []
    for oid, name, limit in _SUBJECT_FIELDS:
        if value := _UNSAFE.sub("_", str(getattr(labels, name))):
            attributes.append(x509.NameAttribute(oid, shorten(value, limit)))
    return x509.Name(attributes)


def self_signed_root(
    key: ec.EllipticCurvePrivateKey, serial: int, now: datetime, organization: str = "cluster.local"
) -> x509.Certificate:
    """A new root, good for ten years. It may sign leaves only: no authority stands between it and them."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    builder = _builder(name, name, key.public_key(), serial, now, ROOT_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    return builder.sign(key, hashes.SHA256())


def workload_certificate(
    root: Root,
    key: ec.EllipticCurvePublicKey,
    identity: Identity,
    labels: WorkloadLabels,
    serial: int,
    now: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> x509.Certificate:
    """A certificate for one workload: exactly one SPIFFE URI, for both ends of a connection."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return _leaf(root, key, subject_of(labels), names, usages, serial, now, lifetime)


def serving_certificate(
    root: Root,
    key: ec.EllipticCurvePublicKey,
    dns_names: Sequence[str],
    serial: int,
    now: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> x509.Certificate:
    """The certificate of one of our own servers, known by DNS names only. The first name is the subject's."""
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shorten(dns_names[0], 64))])
    return _leaf(root, key, subject, names, [ExtendedKeyUsageOID.SERVER_AUTH], serial, now, lifetime)


def _leaf(
    root: Root,
    key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    names: x509.SubjectAlternativeName,
    usages: list[ObjectIdentifier],
    serial: int,
    now: datetime,
    lifetime: timedelta,
) -> x509.Certificate:
    """A leaf never outlives its root: a peer would refuse the chain, and rotation would come too late."""
    lifetime = min(lifetime, root.certificate.not_valid_after_utc - now)
    builder = _builder(subject, root.certificate.subject, key, serial, now, lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(names, critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return builder.sign(root.key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    serial: int,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    now = now.replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
