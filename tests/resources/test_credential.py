"""What Envoy would refuse of a Secret is found, and nothing of a key is ever shown."""

from __future__ import annotations

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kaiki.resources.credential import material_of

PRIVATE = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KEYS: dict[str, PRIVATE] = {
    "good": ec.generate_private_key(ec.SECP256R1()),
    "other": ec.generate_private_key(ec.SECP256R1()),
    "curve": ec.generate_private_key(ec.SECP256K1()),
    "short": rsa.generate_private_key(65537, 1024),
}


def certificate(key: PRIVATE) -> bytes:
    name = x509.Name([])
    now = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def pem(key: PRIVATE, password: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def secret(**data: bytes) -> dict[str, object]:
    return {"data": {name.replace("_", "."): base64.b64encode(value).decode() for name, value in data.items()}}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"tls_crt": certificate(KEYS["good"]), "tls_key": pem(KEYS["good"])}, ""),
        ({"cert": certificate(KEYS["good"]), "key": pem(KEYS["good"])}, ""),
        ({"tls_crt": certificate(KEYS["good"]), "tls_key": pem(KEYS["other"])}, "does not belong"),
        ({"tls_crt": certificate(KEYS["good"])}, "no tls.key"),
        ({"tls_key": pem(KEYS["good"])}, "no tls.crt"),
        ({"tls_crt": b"nonsense", "tls_key": pem(KEYS["good"])}, "tls.crt is not"),
        ({"tls_crt": certificate(KEYS["good"]), "tls_key": b"nonsense"}, "tls.key is not"),
        ({"tls_crt": certificate(KEYS["good"]), "tls_key": pem(KEYS["good"], b"word")}, "without a password"),
        ({"tls_crt": certificate(KEYS["short"]), "tls_key": pem(KEYS["short"])}, "less than 2048"),
        ({"tls_crt": certificate(KEYS["curve"]), "tls_key": pem(KEYS["curve"])}, "curve"),
    ],
)
def test_pairs(data: dict[str, bytes], problem: str) -> None:
    material = material_of(secret(**data))
    assert problem in material.pair_problem
    assert bool(material.pair_problem) == bool(problem)
    assert "PRIVATE" not in repr(material)
    assert "nonsense" not in repr(material)


def test_roots() -> None:
    assert material_of(secret(ca_crt=certificate(KEYS["good"]))).roots_problem == ""
    assert material_of(secret(cacert=certificate(KEYS["good"]))).roots_problem == ""
    assert material_of(secret(ca_crt=b"nonsense")).roots_problem
    assert material_of({"data": {"tls.crt": "***"}}).pair_problem == "its data is not base64"


def test_the_version_follows_the_contents() -> None:
    one = material_of(secret(tls_crt=certificate(KEYS["good"]), tls_key=pem(KEYS["good"])))
    other = material_of(secret(tls_crt=certificate(KEYS["other"]), tls_key=pem(KEYS["other"])))
    assert one.version != other.version
    assert one.version == material_of(secret(cert=one.certificates, key=one.key)).version
