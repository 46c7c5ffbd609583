"""Certificates that are files: the real Envoy reads them where a DestinationRule or a Gateway says so."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import real_envoy
import small_mesh
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.translate.generate import generate

DESTINATION = """
kind: Proxy
metadata: {name: client, namespace: default}
---
kind: Workload
metadata: {name: shop, namespace: default}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop
  trafficPolicy:
    tls:
      {mode: MUTUAL, clientCertificate: F/crt, privateKey: F/key, caCertificates: F/crt, caCrl: F/crl, sni: a.org}
"""
GATEWAY = """
kind: Proxy
metadata: {name: gateway, namespace: istio-system}
spec: {kind: gateway, labels: {istio: edge}}
---
kind: Workload
metadata: {name: shop, namespace: default}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: edge}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [a.org]
    tls: {mode: MUTUAL, serverCertificate: F/crt, privateKey: F/key, caCertificates: F/crt, caCrl: F/crl}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec: {hosts: [a.org], gateways: [edge], http: [{route: [{destination: {host: shop}}]}]}
"""


def write_files(folder: Path) -> None:
    """A certificate that signed itself, its key, and an empty list of those that are revoked."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name, day = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.org")]), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    revoked = x509.CertificateRevocationListBuilder(name, now - day, now + day).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "crl").write_bytes(revoked.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


@pytest.mark.parametrize("text", [DESTINATION, GATEWAY], ids=["destination", "gateway"])
def test_envoy_reads_the_files(text: str, tmp_path: Path) -> None:
    write_files(tmp_path)
    documents = list(yaml.safe_load_all(text.replace("F/", f"{tmp_path}/")))
    (proxy,) = small_mesh.proxies(documents)
    config = generate(interpret(small_mesh.inputs(documents)).snapshot, proxy, Memo())
    assert real_envoy.validate(config, tmp_path) == ""
    for name in ("crt", "key", "crl"):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        assert str(tmp_path / name) in real_envoy.validate(config, tmp_path), "it is really read"
        (tmp_path / name).write_bytes(kept)
