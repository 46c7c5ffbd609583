"""Gateways: the ports at which traffic enters (or leaves) the mesh, and for which hosts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kaiki.model.finding import ObjectRef


class ServerTlsMode(StrEnum):
    """What a gateway's port does with TLS. `PASSTHROUGH` routes by SNI without ending TLS."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The TLS of one server. Certificates are paths in the gateway's file system, or come from Secrets by name.

    `credential` names a Secret of the gateway's namespace; `roots_credential` that of the roots, if it is another. With
    `credential_namespace` (Gateway API, where a ReferenceGrant allows it) it is there. `roots_pem` are the roots
    themselves; `accepts_untrusted` lets clients in whose certificates they do not verify. `other_credentials` are more
    Secrets (namespace, empty for the gateway's, and name), `other_files` more pairs of (certificate, key): the client
    decides which it takes. `public_key_hashes` and `certificate_hashes` are those of clients to let in.
    """

    mode: ServerTlsMode | None = None
    https_redirect: bool = False
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    subject_alternative_names: tuple[str, ...] = ()
    minimum_version: str = ""
    maximum_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    credential: str = ""
    roots_credential: str = ""
    credential_namespace: str = ""
    roots_pem: bytes = b""
    accepts_untrusted: bool = False
    other_credentials: tuple[tuple[str, str], ...] = ()
    other_files: tuple[tuple[str, str], ...] = ()
    revocation_list: str = ""
    public_key_hashes: tuple[str, ...] = ()
    certificate_hashes: tuple[str, ...] = ()
    credential_field: str = "credentialName"

    @property
    def secrets(self) -> tuple[tuple[str, str], ...]:
        """(namespace, empty for the gateway's own, and name) of every Secret with a certificate and key."""
        first = ((self.credential_namespace, self.credential),) if self.credential else ()
        return first + self.other_credentials

    @property
    def verifies_clients(self) -> bool:
        """Whether clients show certificates that must be verified by roots of the user's."""
        return self.mode in (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)

    @property
    def needs_pair(self) -> bool:
        """Whether TLS is ended with a certificate of the user's."""
        return self.mode is ServerTlsMode.SIMPLE or self.verifies_clients

    @property
    def roots_from(self) -> str:
        """The credential with the roots for clients; empty where files have them, or nobody is verified."""
        return (self.roots_credential or self.credential) if self.verifies_clients and not self.roots_pem else ""


@dataclass(frozen=True, slots=True)
class ServerHost:
    """A host a server answers for. Routes may come from `namespace` (`*`: any)."""

    namespace: str
    host: str


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """One port of a gateway. `port` is the number users see; the gateway's Service maps it to the port bound.

    Requests for a host of `misdirected` came to the wrong server (their TLS names this one) and are told so.
    `owner` is the object the user wrote, where that is no Gateway of Istio's.
    """

    name: str
    port: int
    port_name: str
    protocol: str
    hosts: tuple[ServerHost, ...]
    tls: ServerTls | None = None
    bind: str = ""
    misdirected: tuple[str, ...] = ()
    owner: ObjectRef | None = None

    @property
    def tls_mode(self) -> ServerTlsMode | None:
        """What the server does with TLS; None for plaintext (also where `tls` only asks for a redirect)."""
        return self.tls.mode if self.tls else None

    @property
    def is_http(self) -> bool:
        """Whether the server speaks HTTP (of HTTPS: after TLS is ended here)."""
        return self.protocol in ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS")

    @property
    def has_certificate(self) -> bool:
        """Whether TLS is ended here: by files, by a Secret, or by the mesh's own certificate."""
        tls = self.tls
        if tls is None or tls.mode is None:
            return False
        return tls.mode is ServerTlsMode.ISTIO_MUTUAL or bool(
            tls.credential or (tls.server_certificate and tls.private_key)
        )


@dataclass(frozen=True, slots=True)
class Gateway:
    """Servers for the gateway pods that carry all of `selector` (empty: every gateway pod). `created` orders them.

    With `namespace`, only pods of that namespace are selected (Gateways of the Gateway API own their pods).
    `client_credential` is the Secret (namespace, name) with what they show to the backends they call by TLS.
    """

    source: ObjectRef
    selector: tuple[tuple[str, str], ...]
    servers: tuple[GatewayServer, ...]
    created: str = ""
    namespace: str = ""
    client_credential: tuple[str, str] | None = None

    def selects(self, namespace: str, labels: tuple[tuple[str, str], ...]) -> bool:
        """Whether a gateway pod is this Gateway's."""
        return self.namespace in ("", namespace) and set(self.selector) <= set(labels)

    @property
    def key(self) -> str:
        """`namespace/name`, as VirtualServices refer to it."""
        return f"{self.source.namespace}/{self.source.name}"
