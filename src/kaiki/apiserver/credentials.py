"""Keys and tokens of the local machine, in `<home>/pki/`: made once, read by the server and by the launcher.

    ca.crt, ca.key          the server's own certificate authority
    server.crt, server.key  the serving certificate
    service-account.key     signs service account tokens
    admin.token, node.token random bearer tokens: the user's (cluster admin) and the node's

All files are for the user alone (0600, in a folder 0700). Nothing here imports the server.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1", "10.97.0.1")
LIFETIME_DAYS = 3650


def pki_folder(home: Path) -> Path:
    """Where the keys are."""
    return home / "pki"


def ensure_credentials(home: Path) -> None:
    """Make what is missing of the keys, certificates and tokens. Safe to call again; two callers may race."""
    folder = pki_folder(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("admin.token", "node.token"):
        if not (folder / name).exists():
            _write(folder / name, secrets.token_urlsafe(32).encode())
    if not (folder / "service-account.key").exists():
        _write(folder / "service-account.key", _private_pem(_new_key()))
    if not (folder / "server.crt").exists():
        _make_certificates(folder)


class CredentialsDamaged(Exception):
    """A key, certificate or token on disk cannot be used; the text names the file, the cause and the way out."""


def check_credentials(home: Path) -> None:
    """CredentialsDamaged when a file is there and cannot be used. What is missing will be made.

    Runs before anything starts, so it does without the large `cryptography`: the framework of a key is looked at,
    the pair of certificate and key is loaded as TLS will load it.
    """
    import ssl

    folder = pki_folder(home)
    for name in ("admin.token", "node.token"):
        if (folder / name).exists() and not _text(folder / name).strip():
            raise _damaged([folder / name], "it is empty")
    signing = folder / "service-account.key"
    if signing.exists() and not _is_pem(_text(signing)):
        raise _damaged([signing], "it holds no private key in PEM")
    serving = [folder / name for name in ("server.crt", "server.key", "ca.crt", "ca.key")]
    if not serving[0].exists():
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(serving[0], serving[1])
        context.load_verify_locations(serving[2])
    except (ssl.SSLError, OSError) as error:
        raise _damaged(serving, str(error)) from error


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _is_pem(text: str) -> bool:
    """Whether a private key is framed in it, in base64."""
    found = re.search(r"-----BEGIN (?:EC )?PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END", text)
    return found is not None and len(found[1].split()) > 0


def _damaged(paths: Sequence[Path], cause: str) -> CredentialsDamaged:
    names = ", ".join(str(path) for path in paths)
    it = "them" if len(paths) > 1 else "it"
    return CredentialsDamaged(
        f"the mesh's credentials {names} cannot be used ({cause}). Put back what was there, or move {it} away: "
        "new ones are made at the next start, and every pod gets new tokens and certificates by them"
    )


def admin_token(home: Path) -> str:
    """The token of the user: may do everything."""
    return (pki_folder(home) / "admin.token").read_text().strip()


def node_token(home: Path) -> str:
    """The token of the node's runtime."""
    return (pki_folder(home) / "node.token").read_text().strip()


def authority_certificate(home: Path) -> str:
    """The PEM certificate that clients verify the server by."""
    return (pki_folder(home) / "ca.crt").read_text()


def write_kubeconfig(home: Path, server_url: str, path: Path | None = None, token: str | None = None) -> Path:
    """Write a kubeconfig for this server (default: `<home>/kubeconfig`, the admin's token) and answer its path."""
    import base64

    import orjson

    encoded = base64.b64encode(authority_certificate(home).encode()).decode()
    cluster = {"server": server_url, "certificate-authority-data": encoded}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kaiki", "cluster": cluster}],
        "users": [{"name": "kaiki", "user": {"token": token or admin_token(home)}}],
        "contexts": [{"name": "kaiki", "context": {"cluster": "kaiki", "user": "kaiki", "namespace": "default"}}],
        "current-context": "kaiki",
    }
    path = path or home / "kubeconfig"
    # JSON is YAML, and kubectl reads it as such.
    _write(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def _write(path: Path, content: bytes) -> None:
    """Write a file for the user alone, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _private_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _make_certificates(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    authority_key, server_key = _new_key(), _new_key()
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kaiki-ca")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    authority = _certificate(issuer, issuer, authority_key).add_extension(x509.BasicConstraints(True, None), True)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]
    server = _certificate(subject, issuer, server_key)
    server = server.add_extension(x509.SubjectAlternativeName(alternatives), False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    server = server.add_extension(identifier, False)
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
    server = server.add_extension(usage, False)
    own = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = authority.add_extension(own, False).add_extension(_authority_usage(), True)
    signed = authority.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    _write(folder / "ca.key", _private_pem(authority_key))
    _write(folder / "ca.crt", signed)
    _write(folder / "server.key", _private_pem(server_key))
    _write(folder / "server.crt", server.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))


def _authority_usage() -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=LIFETIME_DAYS))
    )
