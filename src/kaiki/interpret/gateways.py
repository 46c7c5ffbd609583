"""Gateway specs → gateways of the model. Depends on one object alone."""

from __future__ import annotations

from kaiki.model import gateway as model
from kaiki.model.finding import ObjectRef
from kaiki.resources.istio import gateway as api


def gateway(source: ObjectRef, spec: api.GatewaySpec, created: str) -> model.Gateway:
    """Translate one spec; `namespace/host` is split, with `.` for the object's own namespace."""
    return model.Gateway(
        source=source,
        selector=tuple(sorted(spec.selector.items())),
        servers=tuple(_server(item, source.namespace) for item in spec.servers),
        created=created,
    )


def _server(server: api.Server, namespace: str) -> model.GatewayServer:
    return model.GatewayServer(
        name=server.name,
        port=server.port.number,
        port_name=server.port.name,
        protocol=server.port.protocol.upper(),
        hosts=tuple(_host(item, namespace) for item in server.hosts),
        tls=server_tls(server.tls),
        bind=server.bind,
    )


def _host(text: str, namespace: str) -> model.ServerHost:
    space, slash, host = text.lower().rpartition("/")
    if not slash:
        return model.ServerHost("*", host)
    return model.ServerHost(namespace if space == "." else space, host)


def server_tls(settings: api.ServerTLSSettings | None) -> model.ServerTls | None:
    """The TLS of a server of a Gateway, or of a port of a Sidecar."""
    if settings is None:
        return None
    names = (settings.credential_name,) if settings.credential_name else settings.credential_names
    pairs = tuple((item.server_certificate, item.private_key) for item in settings.tls_certificates)
    pairs = tuple(pair for pair in pairs if all(pair))
    if settings.server_certificate or not pairs:
        pairs = ((settings.server_certificate, settings.private_key), *pairs)
    return model.ServerTls(
        mode=model.ServerTlsMode(settings.mode) if settings.mode else None,
        https_redirect=settings.https_redirect,
        server_certificate=pairs[0][0],
        private_key=pairs[0][1],
        ca_certificates=settings.ca_certificates,
        subject_alternative_names=settings.subject_alt_names,
        minimum_version=settings.min_protocol_version or "",
        maximum_version=settings.max_protocol_version or "",
        cipher_suites=settings.cipher_suites,
        credential=names[0] if names else "",
        roots_credential=settings.ca_cert_credential_name,
        other_credentials=tuple(("", name) for name in names[1:]),
        other_files=pairs[1:],
        revocation_list=settings.ca_crl,
        public_key_hashes=settings.verify_certificate_spki,
        certificate_hashes=settings.verify_certificate_hash,
        credential_field="credentialName" if settings.credential_name else "credentialNames",
    )
