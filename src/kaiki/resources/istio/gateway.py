"""Gateway: the ports at which traffic enters or leaves the mesh (Istio, "Gateway" reference)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, PortNumber

ProtocolVersion = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class Port(ApiType, frozen=True):
    """A port: number, protocol (HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP, TLS, MONGO) and a name."""

    NOT_IN_FORCE = {"targetPort": "The gateway's Service maps ports."}

    number: Annotated[int, Meta(ge=1, le=65535)]
    protocol: str
    name: str
    target_port: PortNumber = 0


class TLSCertificate(ApiType, frozen=True):
    """A certificate by files."""

    NOT_IN_FORCE = {"caCertificates": "Say caCertificates beside tlsCertificates: it is for all of them."}

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


class ServerTLSSettings(ApiType, frozen=True):
    """What a server does with TLS."""

    ONE_OF = (("credentialName", "credentialNames"),)

    https_redirect: bool = False
    mode: Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"] | None = (
        None
    )
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str = ""
    tls_certificates: tuple[TLSCertificate, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: ProtocolVersion | None = None
    max_protocol_version: ProtocolVersion | None = None
    cipher_suites: tuple[str, ...] = ()


class Server(ApiType, frozen=True):
    """One port and the hosts it answers for (`host`, `*.host`, `*`, each with an optional `namespace/`)."""

    NOT_IN_FORCE = {"defaultEndpoint": "Bind a VirtualService to the Gateway, which says where traffic goes."}

    port: Port
    hosts: tuple[str, ...]
    bind: str = ""
    tls: ServerTLSSettings | None = None
    default_endpoint: str = ""
    name: str = ""


class GatewaySpec(ApiType, frozen=True):
    """Servers for the gateway pods that carry the labels of `selector`."""

    servers: tuple[Server, ...] = ()
    selector: dict[str, str] = {}
