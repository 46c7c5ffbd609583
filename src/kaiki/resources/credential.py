"""Secrets with TLS material: `kubernetes.io/tls` (tls.crt, tls.key, ca.crt) or generic ones (cert, key, cacert).

What Envoy would refuse is found here: a refused certificate would keep a whole port from being opened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CERTIFICATE_KEYS = ("tls.crt", "cert")
_KEY_KEYS = ("tls.key", "key")
_ROOTS_KEYS = ("ca.crt", "cacert")
_SMALLEST_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True, slots=True)
class Material:
    """What a Secret holds, as PEM, and why it cannot serve as a pair or as roots (empty: it can). Shows no key."""

    version: str = ""
    certificates: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    roots: bytes = field(default=b"", repr=False)
    pair_problem: str = "it does not exist"
    roots_problem: str = "it does not exist"


ABSENT = Material()


def material_of(secret: Mapping[str, Any]) -> Material:
    """Read a Secret. Problems never quote what is in it."""
    data = secret.get("data") or {}
    try:
        certificates, key, roots = (_first(data, names) for names in (_CERTIFICATE_KEYS, _KEY_KEYS, _ROOTS_KEYS))
    except (binascii.Error, ValueError):
        problem = "its data is not base64"
        return Material(pair_problem=problem, roots_problem=problem)
    # Lengths are hashed with the parts: where one ends and the next begins must tell, too.
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (certificates, key, roots))
    return Material(
        version=hashlib.sha256(parts).hexdigest()[:16],
        certificates=certificates,
        key=key,
        roots=roots,
        pair_problem=_pair_problem(certificates, key),
        roots_problem=_roots_problem(roots),
    )


def _first(data: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    return next((base64.b64decode(data[name], validate=True) for name in names if data.get(name)), b"")


def _roots_problem(roots: bytes) -> str:
    if not roots:
        return "it has no ca.crt"
    return "" if _certificates(roots) else "its ca.crt is not a PEM certificate"


def _certificates(pem: bytes) -> list[Any]:
    from cryptography import x509

    try:
        return list(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return []


def _pair_problem(certificates: bytes, key: bytes) -> str:
    if not certificates or not key:
        return f"it has no {'tls.crt' if not certificates else 'tls.key'}"
    chain = _certificates(certificates)
    if not chain:
        return "its tls.crt is not a PEM certificate"
    return _key_problem(chain[0], key)


def _key_problem(certificate: Any, pem: bytes) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = serialization.load_pem_private_key(pem, password=None)
        same = key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "its tls.key is not a PEM key without a password"
    if not same:
        return "its tls.key does not belong to its tls.crt"
    if isinstance(key, rsa.RSAPrivateKey):
        return "" if key.key_size >= _SMALLEST_RSA_BITS else f"its RSA key has less than {_SMALLEST_RSA_BITS} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return "" if key.curve.name in _CURVES else f"its key's curve {key.curve.name} is not one proxies take"
    return "its key is neither RSA nor ECDSA"
