"""Secrets for one proxy, over SDS: its certificate and key (`default`) and what it is to trust (`ROOTCA`).

A key is made when it has to be sent and dropped when the proxy has acknowledged it. What a proxy holds is known by its
version, so that a control plane that has just been started leaves good certificates alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from kaiki.discovery.stream import Stream
from kaiki.model.identity import Identity, WorkloadLabels
from kaiki.model.proxy import SECRET_TYPE, Proxy, Resource

CERTIFICATE_NAME = "default"
ROOT_NAME = "ROOTCA"


class IssuedPair(Protocol):
    """A certificate chain and its key, PEM, and the version by which a proxy will present them."""

    @property
    def version(self) -> str: ...

    @property
    def certificate_pem(self) -> bytes: ...

    @property
    def key_pem(self) -> bytes: ...


class SecretIssuer(Protocol):
    """The authority, as discovery sees it."""

    @property
    def root_certificates(self) -> bytes: ...

    def issue(self, identity: Identity, labels: WorkloadLabels) -> IssuedPair: ...

    def rotation_time(self, version: str, identity: Identity, labels: WorkloadLabels) -> datetime | None: ...


class ProxySecrets:
    """The secrets of one proxy on one stream."""

    def __init__(self, issuer: SecretIssuer) -> None:
        self._issuer = issuer
        self._certificate: Resource | None = None
        self._table: dict[str, Resource] = {}
        self.rotate_at: datetime | None = None
        self.issued = 0

    def table(self, proxy: Proxy, stream: Stream) -> Mapping[str, Resource]:
        """The secrets the proxy asked for. The same mapping as long as nothing changes."""
        table: dict[str, Resource] = {}
        wanted = stream.wants(SECRET_TYPE)
        if CERTIFICATE_NAME in wanted:
            table[CERTIFICATE_NAME] = self._current_certificate(proxy, stream)
        if ROOT_NAME in wanted:
            table[ROOT_NAME] = root_secret(self._issuer.root_certificates)
        if table != self._table:
            self._table = table
        return self._table

    def _current_certificate(self, proxy: Proxy, stream: Stream) -> Resource:
        held = stream.held_version(SECRET_TYPE, CERTIFICATE_NAME)
        version = self._certificate.version if self._certificate is not None else held
        rotate_at = self._issuer.rotation_time(version, proxy.identity, proxy.metric_labels)
        has_it = held == version and not stream.must_send(SECRET_TYPE, CERTIFICATE_NAME)
        if rotate_at is not None and has_it:
            certificate = _acknowledged(version)
        elif rotate_at is not None and self._certificate is not None and self._certificate.body:
            certificate = self._certificate
        else:
            certificate, rotate_at = self._issue(proxy)
        self._certificate, self.rotate_at = certificate, rotate_at
        return certificate

    def _issue(self, proxy: Proxy) -> tuple[Resource, datetime | None]:
        pair = self._issuer.issue(proxy.identity, proxy.metric_labels)
        self.issued += 1
        rotate_at = self._issuer.rotation_time(pair.version, proxy.identity, proxy.metric_labels)
        body = certificate_secret(pair.certificate_pem, pair.key_pem)
        return Resource(CERTIFICATE_NAME, SECRET_TYPE, pair.version, body), rotate_at

    def seconds_until_rotation(self) -> float | None:
        """How long the certificate may stay; None when there is none."""
        return None if self.rotate_at is None else (self.rotate_at - datetime.now(UTC)).total_seconds()


def _acknowledged(version: str) -> Resource:
    """What stands for a certificate the proxy has: its key is not kept here."""
    return Resource(CERTIFICATE_NAME, SECRET_TYPE, version, b"")


def certificate_secret(certificate_pem: bytes, key_pem: bytes, name: str = CERTIFICATE_NAME) -> bytes:
    """A serialized Secret with a certificate chain and its key."""
    from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

    secret = secret_pb2.Secret(name=name)
    secret.tls_certificate.certificate_chain.inline_bytes = certificate_pem
    secret.tls_certificate.private_key.inline_bytes = key_pem
    return bytes(secret.SerializeToString(deterministic=True))


def root_secret(root_certificates: bytes, name: str = ROOT_NAME) -> Resource:
    """A Secret that says which roots to trust."""
    from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

    secret = secret_pb2.Secret(name=name)
    secret.validation_context.trusted_ca.inline_bytes = root_certificates
    body = bytes(secret.SerializeToString(deterministic=True))
    return Resource(name, SECRET_TYPE, hashlib.sha256(body).hexdigest()[:16], body)
