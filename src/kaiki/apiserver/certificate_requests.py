"""Client certificates on request: CertificateSigningRequests, signed as soon as somebody approves them.

Signed are those for this server's own clients and nodes; a request for another signer waits for whoever serves it.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaiki.apiserver import credentials
from kaiki.apiserver.errors import FieldCause, forbidden_value, invalid_value, required
from kaiki.apiserver.requests import ApiRequest

if TYPE_CHECKING:
    from cryptography import x509

PLURAL = "certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
SIGNERS = (CLIENT_SIGNER, "kubernetes.io/kube-apiserver-client-kubelet")
USUAL_SECONDS = 365 * 24 * 3600
MINIMUM_SECONDS = 600
Object = dict[str, Any]


def note_requester(request: ApiRequest, value: Object) -> None:
    """Who asks for a certificate is written by the server, in place."""
    spec = value.setdefault("spec", {})
    for key in ("username", "uid", "groups", "extra"):
        spec.pop(key, None)
    about = request.user.describe()
    spec |= about


def check_request(value: Object, old: Object | None) -> list[FieldCause]:
    """What is wrong with a request."""
    spec = value.get("spec") or {}
    if old and old.get("spec") != spec:
        return [forbidden_value("spec", "may not be changed")]
    try:
        asked = _read(spec)
    except ValueError as error:
        return [invalid_value("spec.request", "", f"PEM block type must be CERTIFICATE REQUEST: {error}")]
    causes = [] if spec.get("usages") else [required("spec.usages")]
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < MINIMUM_SECONDS:
        causes.append(
            invalid_value("spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds")
        )
    if spec.get("signerName") == CLIENT_SIGNER and "system:masters" in _organizations(asked):
        causes.append(forbidden_value("spec.request", "use of system:masters is not allowed for this signer"))
    return causes


def _read(spec: Object) -> x509.CertificateSigningRequest:
    """ValueError when it is none, or not signed by the key it is for."""
    from cryptography import x509

    asked = x509.load_pem_x509_csr(base64.b64decode(str(spec.get("request") or "")))
    if not asked.is_signature_valid:
        raise ValueError("its signature is not valid")
    return asked


def _organizations(asked: x509.CertificateSigningRequest) -> list[str]:
    from cryptography.x509.oid import NameOID

    return [str(each.value) for each in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def is_approved(value: Object) -> bool:
    """Whether somebody has approved it, and nobody denied it."""
    states = {each.get("type") for each in (value.get("status") or {}).get("conditions") or ()}
    return "Approved" in states and not states & {"Denied", "Failed"}


def sign(home: Path, value: Object) -> None:
    """Give an approved request its certificate, in place; nothing when it is for another signer or has one."""
    spec, status = value["spec"], value.get("status") or {}
    if spec.get("signerName") not in SIGNERS or status.get("certificate") or not is_approved(value):
        return
    pem = _signed(home, _read(spec), int(spec.get("expirationSeconds") or USUAL_SECONDS))
    value["status"] = {**status, "certificate": base64.b64encode(pem).decode()}


def _signed(home: Path, asked: x509.CertificateSigningRequest, seconds: int) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    folder = credentials.pki_folder(home)
    key: Any = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(seconds=min(seconds, USUAL_SECONDS)))
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
