"""TLS at the ingress gateway from Secrets: in force when they come, rotated in use, down alone when they are bad."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mesh import SAMPLES, Mesh, wait_until

pytestmark = pytest.mark.e2e

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: secure}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["simple.test"], tls: {httpsRedirect: true}}
  - {port: {number: 80, name: http-open, protocol: HTTP}, hosts: ["open.test"]}
  - port: {number: 443, name: simple, protocol: HTTPS}
    hosts: ["simple.test"]
    tls: {mode: SIMPLE, credentialName: one}
  - port: {number: 443, name: strict, protocol: HTTPS}
    hosts: ["strict.test"]
    tls: {mode: SIMPLE, credentialName: one, minProtocolVersion: TLSV1_3}
  - port: {number: 443, name: mutual, protocol: HTTPS}
    hosts: ["mutual.test"]
    tls: {mode: MUTUAL, credentialName: two}
  - {port: {number: 443, name: late, protocol: HTTPS}, hosts: ["late.test"], tls: {mode: SIMPLE, credentialName: late}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure}
spec:
  hosts: ["*.test"]
  gateways: [secure]
  http: [{route: [{destination: {host: echo, port: {number: 8080}}}]}]
"""
HOSTS = ("simple.test", "strict.test", "mutual.test", "late.test")


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Issuer:
    """A certificate authority of the user's."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def root(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str) -> tuple[bytes, bytes]:
        """(certificate, key), PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        return certify(names, key, self).public_bytes(serialization.Encoding.PEM), pem(key)


def certify(names: tuple[str, ...], key: ec.EllipticCurvePrivateKey, issuer: Issuer | None) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(minutes=5),
        not_valid_after=now + datetime.timedelta(days=1),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def new_issuer() -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    return Issuer(key, certify(("root.test",), key, None))


def secret(name: str, **data: bytes) -> dict[str, Any]:
    keys = {"certificate": "tls.crt", "key": "tls.key", "roots": "ca.crt", "cacert": "cacert"}
    encoded = {keys[key]: base64.b64encode(value).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "istio-system"},
        "data": encoded,
    }


@dataclass
class Front:
    """The gateway as a browser sees it."""

    mesh: Mesh
    port: int
    issuer: Issuer

    def put(self, *objects: dict[str, Any]) -> None:
        self.mesh.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))

    def connect(
        self, host: str, client: Path | None = None, version: ssl.TLSVersion | None = None
    ) -> http.client.HTTPConnection:
        """A connection whose server has shown a certificate for `host`."""
        context = ssl.create_default_context(cadata=self.issuer.root.decode())
        context.set_alpn_protocols(["http/1.1"])
        if client is not None:
            context.load_cert_chain(client)
        if version is not None:
            context.maximum_version = version
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        try:
            connection = http.client.HTTPConnection(host)
            connection.sock = context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        return connection

    def ask(self, host: str, **how: Any) -> dict[str, Any]:
        """What the echo says; OSError where there is no connection."""
        with contextlib.closing(self.connect(host, **how)) as connection:
            return ask(connection)

    def serial(self, host: str) -> int:
        with contextlib.closing(self.connect(host)) as connection:
            return x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True)).serial_number

    def answers(self, host: str) -> bool:
        try:
            return bool(self.ask(host))
        except (OSError, http.client.HTTPException):
            return False

    def findings(self) -> str:
        (gateway,) = self.mesh.objects("gateway", "secure")
        conditions = gateway.get("status", {}).get("conditions", [])
        return "\n".join(condition["message"] for condition in conditions)


def ask(connection: http.client.HTTPConnection) -> dict[str, Any]:
    connection.request("GET", "/x")
    response = connection.getresponse()
    said: dict[str, Any] = json.loads(response.read())
    assert response.status == 200
    return said


@pytest.fixture(scope="module")
def front(mesh: Mesh) -> Front:
    mesh.kubectl("label", "namespace", "default", "istio-injection=enabled")
    mesh.kubectl("apply", "-f", str(SAMPLES / "echo" / "echo.yaml"))
    (service,) = mesh.objects("service", "istio-ingressgateway", "-n", "istio-system")
    port = next(port["nodePort"] for port in service["spec"]["ports"] if port["port"] == 443)
    front = Front(mesh, port, new_issuer())
    mesh.kubectl("apply", "-f", "-", given=GATEWAY)
    certificate, key = front.issuer.issue(*HOSTS)
    front.put(secret("one", certificate=certificate, key=key))
    front.put(secret("two", certificate=certificate, key=key), secret("two-cacert", cacert=front.issuer.root))
    mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
    wait_until(lambda: front.answers("simple.test"), "the first HTTPS server answers", 20)
    return front


def test_https_with_a_secret(front: Front) -> None:
    said = front.ask("simple.test")
    assert said["host"] == "simple.test"
    assert said["headers"]["x-forwarded-proto"] == "https"


def test_plaintext_is_redirected_where_a_server_says_so(front: Front) -> None:
    host, port = front.mesh.gateway.removeprefix("http://").split(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=10)) as connection:
        connection.request("GET", "/x?y=1", headers={"host": "simple.test"})
        response = connection.getresponse()
        assert (response.status, response.headers["location"]) == (301, "https://simple.test/x?y=1")
        response.read()
        connection.request("GET", "/x", headers={"host": "open.test"})
        assert connection.getresponse().status == 200


def test_old_versions_are_refused_where_a_server_says_so(front: Front) -> None:
    assert front.ask("simple.test", version=ssl.TLSVersion.TLSv1_2)
    assert front.ask("strict.test")
    with pytest.raises(OSError):
        front.ask("strict.test", version=ssl.TLSVersion.TLSv1_2)


def test_clients_are_verified_by_the_roots_beside_the_secret(front: Front, tmp_path: Path) -> None:
    files = {}
    for name, issuer in (("known", front.issuer), ("unknown", new_issuer())):
        files[name] = tmp_path / name
        files[name].write_bytes(b"".join(issuer.issue("client.test")))
    said = front.ask("mutual.test", client=files["known"])
    assert "x-forwarded-client-cert" in said["headers"]
    for client in (None, files["unknown"]):
        with pytest.raises((OSError, http.client.HTTPException)):
            front.ask("mutual.test", client=client)


def test_a_missing_secret_closes_its_server_only_until_it_comes(front: Front) -> None:
    wait_until(lambda: "Secret istio-system/late cannot be used" in front.findings(), "the finding", 20)
    assert not front.answers("late.test")
    assert front.answers("simple.test")
    certificate, key = front.issuer.issue("late.test")
    _, other = front.issuer.issue("late.test")
    front.put(secret("late", certificate=certificate, key=other))
    wait_until(lambda: "does not belong to" in front.findings(), "the finding about the pair", 20)
    assert not front.answers("late.test")
    front.put(secret("late", certificate=certificate, key=key))
    wait_until(lambda: front.answers("late.test"), "its server answers", 20)
    wait_until(lambda: not front.findings(), "no finding is left", 20)
    front.mesh.kubectl("delete", "secret", "late", "-n", "istio-system")
    wait_until(lambda: not front.answers("late.test"), "its server is closed", 20)
    assert front.answers("simple.test")
    front.put(secret("late", certificate=certificate, key=key))
    wait_until(lambda: front.answers("late.test"), "and open again", 20)


def test_a_rotated_secret_is_in_force_without_closing_connections(front: Front) -> None:
    before = front.serial("simple.test")
    with contextlib.closing(front.connect("simple.test")) as living:
        ask(living)
        certificate, key = front.issuer.issue(*HOSTS)
        front.put(secret("one", certificate=certificate, key=key))
        wait_until(lambda: front.serial("simple.test") != before, "new connections see the new certificate", 20)
        assert front.serial("strict.test") == x509.load_pem_x509_certificate(certificate).serial_number
        ask(living)


def test_a_restarted_control_plane_closes_nothing(front: Front) -> None:
    mesh = front.mesh
    with contextlib.closing(front.connect("simple.test")) as living:
        ask(living)
        (pod,) = mesh.pods("istio-system", "app=istiod")
        mesh.kubectl("delete", "pod", pod["metadata"]["name"], "-n", "istio-system")
        mesh.kubectl("rollout", "status", "deployment/istiod", "-n", "istio-system", "--timeout=60s")
        certificate, key = front.issuer.issue(*HOSTS)
        front.put(secret("one", certificate=certificate, key=key))
        serial = x509.load_pem_x509_certificate(certificate).serial_number
        wait_until(lambda: front.serial("simple.test") == serial, "the new control plane rotates", 30)
        ask(living)


def test_no_key_is_in_any_log_or_scratch_file(front: Front) -> None:
    found = [
        path
        for folder in ("logs", "run", "metrics")
        for path in (front.mesh.home / folder).rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert not found


LOOKED_UP = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: looked-up}
spec:
  hosts: ["*.default.svc.cluster.local"]
  ports: [{number: 8080, name: tls, protocol: TLS}]
  resolution: DYNAMIC_DNS
  exportTo: [istio-system]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: looked-up}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: looked-up, protocol: TLS}
    hosts: ["*.default.svc.cluster.local"]
    tls: {mode: SIMPLE, credentialName: looked-up}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: looked-up}
spec:
  hosts: ["*.default.svc.cluster.local"]
  gateways: [looked-up]
  tcp: [{route: [{destination: {host: "*.default.svc.cluster.local", port: {number: 8080}}}]}]
"""


def test_the_name_in_the_hello_is_looked_up_where_tls_is_ended_before_bytes(front: Front) -> None:
    host = "echo.default.svc.cluster.local"
    certificate, key = front.issuer.issue(host)
    front.put(secret("looked-up", certificate=certificate, key=key))
    front.mesh.kubectl("apply", "-f", "-", given=LOOKED_UP)
    wait_until(lambda: front.answers(host), "the Service of that name answers inside TLS")
    assert front.ask(host)["path"] == "/x"
    front.mesh.kubectl("delete", "-f", "-", given=LOOKED_UP)


WHERE_CLIENTS_WANT = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: where-clients-want}
spec: {host: echo, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}, tls: {mode: MODE}}}
"""


@pytest.mark.parametrize("mode", ["ISTIO_MUTUAL", "DISABLE"])
def test_rules_of_passthrough_are_taken_by_every_proxy(front: Front, mode: str) -> None:
    front.mesh.kubectl("apply", "-f", "-", given=WHERE_CLIENTS_WANT.replace("MODE", mode))
    front.mesh.kaiki("wait", "destinationrule/where-clients-want")
    front.mesh.kubectl("delete", "destinationrule", "where-clients-want")
    wait_until(lambda: front.answers("simple.test"), "all is as before")
    statuses = [
        status
        for pod in [*front.mesh.pods(), *front.mesh.pods("istio-system")]
        for status in [*pod["status"].get("initContainerStatuses", ()), *pod["status"]["containerStatuses"]]
        if status["name"] == "istio-proxy"
    ]
    assert len(statuses) == 3 and {status["restartCount"] for status in statuses} == {0}, "no proxy fell over it"
