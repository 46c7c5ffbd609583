"""Secrets for one proxy, over SDS: its certificate and key (`default`) and what it is to trust (`ROOTCA`).

A gateway also gets the Secrets that Gateways name (`kubernetes://name`), of its own namespace only. Whoever may start a
gateway pod there may mount these Secrets into it as well, so this opens no door that was closed; sidecars get none.
Gateways of the Gateway API may name Secrets of other namespaces (`kubernetes-gateway://namespace/name`): those a
ReferenceGrant opens to them, for pods of the Gateway's own namespace.

A key is made when it has to be sent and dropped when the proxy has acknowledged it. What a proxy holds is known by its
version, so that a control plane that has just been started leaves good certificates alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from kaiki.discovery.stream import Stream
from kaiki.model.credential import GATEWAY_SECRETS, ROOTS_SUFFIX, SHARED_SECRETS
from kaiki.model.identity import Identity, WorkloadLabels
from kaiki.model.proxy import SECRET_TYPE, Proxy, Resource
from kaiki.model.workload import ProxyKind

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

    def expiry_time(self, version: str) -> datetime | None: ...

    def issue_time(self, version: str) -> datetime | None: ...


class GatewaySecrets(Protocol):
    """The Secrets that Gateways name, PEM, by namespace and name; None for any other and for unusable ones."""

    def pair(self, namespace: str, name: str) -> tuple[bytes, bytes] | None: ...

    def roots(self, namespace: str, name: str) -> bytes | None: ...

    def is_shared(self, namespace: str, name: str, reader: str) -> bool: ...

    def may_read(self, namespace: str, name: str, service_account: str) -> bool: ...


class ProxySecrets:
    """The secrets of one proxy on one stream."""

    def __init__(self, issuer: SecretIssuer, gateway_secrets: GatewaySecrets | None = None) -> None:
        self._issuer = issuer
        self._gateway_secrets = gateway_secrets
        self._certificate: Resource | None = None
        self._table: dict[str, Resource] = {}
        self.rotate_at: datetime | None = None
        self.issued = 0
        self.chain_pem = b""

    def table(self, proxy: Proxy, stream: Stream) -> Mapping[str, Resource]:
        """The secrets the proxy asked for. The same mapping as long as nothing changes."""
        table: dict[str, Resource] = {}
        wanted = stream.wants(SECRET_TYPE)
        if CERTIFICATE_NAME in wanted:
            table[CERTIFICATE_NAME] = self._current_certificate(proxy, stream)
        if ROOT_NAME in wanted:
            table[ROOT_NAME] = root_secret(self._issuer.root_certificates)
        for name in wanted:
            found = self._gateway_secret(proxy, name) if name.startswith((GATEWAY_SECRETS, SHARED_SECRETS)) else None
            if found is not None:
                table[name] = found
        if table != self._table:
            self._table = table
        return self._table

    def _gateway_secret(self, proxy: Proxy, name: str) -> Resource | None:
        store, plain = self._gateway_secrets, name.removeprefix(GATEWAY_SECRETS)
        if store is None or (proxy.kind is not ProxyKind.GATEWAY and not _is_readers(store, name, plain, proxy)):
            return None
        if name.startswith(SHARED_SECRETS):
            return _shared_secret(store, name, proxy.namespace)
        pair = store.pair(proxy.namespace, plain)
        if pair is not None:
            return versioned_secret(name, certificate_secret(*pair, name))
        roots = store.roots(proxy.namespace, plain.removesuffix(ROOTS_SUFFIX)) if ROOTS_SUFFIX in plain else None
        return root_secret(roots, name) if roots is not None else None

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
        self.chain_pem = pair.certificate_pem
        rotate_at = self._issuer.rotation_time(pair.version, proxy.identity, proxy.metric_labels)
        body = certificate_secret(pair.certificate_pem, pair.key_pem)
        return Resource(CERTIFICATE_NAME, SECRET_TYPE, pair.version, body), rotate_at

    def describe_certificate(self, proxy: Proxy, stream: Stream) -> dict[str, str] | None:
        """What /debug/syncz tells of the certificate a proxy holds; None before it has acknowledged one."""
        held = stream.held_version(SECRET_TYPE, CERTIFICATE_NAME) or ""
        begins, ends = self._issuer.issue_time(held), self._issuer.expiry_time(held)
        if begins is None or ends is None:
            return None
        rotates = "" if self.rotate_at is None else self.rotate_at.isoformat()
        issued = {"identity": str(proxy.identity), "issued_at": begins.isoformat()}
        return issued | {"expires_at": ends.isoformat(), "rotates_at": rotates}

    def seconds_until_rotation(self) -> float | None:
        """How long the certificate may stay; None when there is none."""
        return None if self.rotate_at is None else (self.rotate_at - datetime.now(UTC)).total_seconds()


def _is_readers(store: GatewaySecrets, name: str, plain: str, proxy: Proxy) -> bool:
    """Whether a sidecar may have a Secret of its namespace: a DestinationRule selects it, and its account may read."""
    account = proxy.identity.service_account
    names = (plain, plain.removesuffix(ROOTS_SUFFIX))
    return name.startswith(GATEWAY_SECRETS) and any(store.may_read(proxy.namespace, one, account) for one in names)


def _shared_secret(store: GatewaySecrets, name: str, reader: str) -> Resource | None:
    owner, _, plain = name.removeprefix(SHARED_SECRETS).partition("/")
    pair = store.pair(owner, plain) if store.is_shared(owner, plain, reader) else None
    if pair is not None:
        return versioned_secret(name, certificate_secret(*pair, name))
    base = plain.removesuffix(ROOTS_SUFFIX)
    roots = store.roots(owner, base) if base != plain and store.is_shared(owner, base, reader) else None
    return root_secret(roots, name) if roots is not None else None


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


@lru_cache(maxsize=64)
def root_secret(root_certificates: bytes, name: str = ROOT_NAME) -> Resource:
    """A Secret that says which roots to trust."""
    from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

    secret = secret_pb2.Secret(name=name)
    secret.validation_context.trusted_ca.inline_bytes = root_certificates
    body = bytes(secret.SerializeToString(deterministic=True))
    return versioned_secret(name, body)


def versioned_secret(name: str, body: bytes) -> Resource:
    """A serialized Secret, whose version is a hash of it."""
    return Resource(name, SECRET_TYPE, hashlib.sha256(body).hexdigest()[:16], body)
