"""TLS, in both directions: certificates always come by SDS over ADS (`default`, `ROOTCA`), which others deliver."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from google.protobuf import duration_pb2

from kaiki.model.credential import GATEWAY_SECRETS, ROOTS_SUFFIX, SHARED_SECRETS
from kaiki.model.gateway import ServerTls, ServerTlsMode
from kaiki.model.identity import DEFAULT_TRUST_DOMAIN
from kaiki.model.policy.destination import ClientTls
from kaiki.translate.encode import pack, pack_empty

OWN_CERTIFICATE = "default"
ROOT_CERTIFICATE = "ROOTCA"
ALPN_HTTP1 = ("istio-http/1.1", "istio", "http/1.1")
ALPN_HTTP2 = ("istio-h2", "istio", "h2")
ALPN_TCP = ("istio",)
_SOCKET = "envoy.transport_sockets.tls"
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian, Alpine and Envoy's own images keep public roots (Envoy does not implement `system_root_certs`)."""


def ads_source() -> config_source_pb2.ConfigSource:
    """Resources come over the one ADS stream, and are waited for without end."""
    source = config_source_pb2.ConfigSource(
        resource_api_version=config_source_pb2.V3, initial_fetch_timeout=duration_pb2.Duration()
    )
    source.ads.SetInParent()
    return source


def gateway_secret(name: str, roots: bool = False) -> str:
    """The SDS name (Istio's) of a Secret that a Gateway names, or of the roots beside it."""
    return f"{GATEWAY_SECRETS}{name}{ROOTS_SUFFIX if roots else ''}"


@cache
def _secret(name: str) -> secret_pb2.SdsSecretConfig:
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads_source())


def _common(alpn: Iterable[str], matchers: Iterable[common_pb2.SubjectAltNameMatcher]) -> tls_pb2.CommonTlsContext:
    context = tls_pb2.CommonTlsContext(alpn_protocols=alpn)
    context.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    context.tls_certificate_sds_secret_configs.append(_secret(OWN_CERTIFICATE))
    combined = context.combined_validation_context
    combined.default_validation_context.match_typed_subject_alt_names.extend(matchers)
    combined.validation_context_sds_secret_config.CopyFrom(_secret(ROOT_CERTIFICATE))
    return context


def _exact_uri(uri: str) -> common_pb2.SubjectAltNameMatcher:
    matcher = common_pb2.SubjectAltNameMatcher(san_type=common_pb2.SubjectAltNameMatcher.URI)
    matcher.matcher.exact = uri
    return matcher


def _uri_prefix(prefix: str) -> common_pb2.SubjectAltNameMatcher:
    matcher = common_pb2.SubjectAltNameMatcher(san_type=common_pb2.SubjectAltNameMatcher.URI)
    matcher.matcher.prefix = prefix
    return matcher


def mesh_client(
    server_name: str, alpn: Iterable[str], identities: tuple[str, ...], namespace: str
) -> base_pb2.TransportSocket:
    """Mesh mTLS towards a server that must be one of `identities`.

    Before any endpoint is known there is nobody to connect to either; then any identity of the service's namespace
    stands in, so that the first endpoint does not find an open door.
    """
    matchers = [_exact_uri(uri) for uri in identities]
    if not matchers:
        matchers = [_uri_prefix(f"spiffe://{DEFAULT_TRUST_DOMAIN}/ns/{namespace}/sa/")]
    context = tls_pb2.UpstreamTlsContext(sni=server_name, common_tls_context=_common(alpn, matchers))
    return base_pb2.TransportSocket(name=_SOCKET, typed_config=pack(context))


@cache
def mesh_server(alpn: tuple[str, ...]) -> base_pb2.TransportSocket:
    """Mesh mTLS towards clients of the trust domain; a client certificate is required."""
    context = tls_pb2.DownstreamTlsContext(
        common_tls_context=_common(alpn, [_uri_prefix(f"spiffe://{DEFAULT_TRUST_DOMAIN}/")])
    )
    context.require_client_certificate.value = True
    return base_pb2.TransportSocket(name=_SOCKET, typed_config=pack(context))


_VERSIONS = {
    "TLSV1_0": common_pb2.TlsParameters.TLSv1_0,
    "TLSV1_1": common_pb2.TlsParameters.TLSv1_1,
    "TLSV1_2": common_pb2.TlsParameters.TLSv1_2,
    "TLSV1_3": common_pb2.TlsParameters.TLSv1_3,
}


def plain_server(tls: ServerTls, alpn: Iterable[str]) -> base_pb2.TransportSocket:
    """TLS as a server of a Gateway says it: certificates by SDS from Secrets, or from files of its container."""
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(alpn)
    common.tls_params.tls_minimum_protocol_version = _VERSIONS.get(
        tls.minimum_version, common_pb2.TlsParameters.TLSv1_2
    )
    if tls.maximum_version in _VERSIONS:
        common.tls_params.tls_maximum_protocol_version = _VERSIONS[tls.maximum_version]
    common.tls_params.cipher_suites.extend(tls.cipher_suites)
    for space, name in tls.secrets:
        common.tls_certificate_sds_secret_configs.append(_secret(_server_secret(space, name)))
    for chain, key in () if tls.secrets else ((tls.server_certificate, tls.private_key), *tls.other_files):
        certificate = common.tls_certificates.add()
        certificate.certificate_chain.filename = chain
        certificate.private_key.filename = key
    if tls.verifies_clients:
        context.require_client_certificate.value = tls.mode is ServerTlsMode.MUTUAL
        _verify_clients(common, tls)
    return base_pb2.TransportSocket(name=_SOCKET, typed_config=pack(context))


def _server_secret(namespace: str, name: str) -> str:
    return f"{SHARED_SECRETS}{namespace}/{name}" if namespace else gateway_secret(name)


def _verify_clients(common: tls_pb2.CommonTlsContext, tls: ServerTls) -> None:
    verified = common.validation_context
    if tls.roots_pem:
        verified.trusted_ca.inline_bytes = tls.roots_pem
        if tls.accepts_untrusted:
            verified.trust_chain_verification = common_pb2.CertificateValidationContext.ACCEPT_UNTRUSTED
    elif tls.roots_from:
        combined = common.combined_validation_context
        shared = f"{_server_secret(tls.credential_namespace, tls.credential)}{ROOTS_SUFFIX}"
        roots = shared if tls.credential_namespace else gateway_secret(tls.roots_from, True)
        combined.validation_context_sds_secret_config.CopyFrom(_secret(roots))
        verified = combined.default_validation_context
    else:
        verified.trusted_ca.filename = tls.ca_certificates
    verified.SetInParent()
    if tls.revocation_list:
        verified.crl.filename = tls.revocation_list
    verified.verify_certificate_spki.extend(tls.public_key_hashes)
    verified.verify_certificate_hash.extend(tls.certificate_hashes)
    for name in tls.subject_alternative_names:
        _add_name(verified, name)


def with_proxy_protocol(inner: base_pb2.TransportSocket, version: int) -> base_pb2.TransportSocket:
    """Begin each connection with a PROXY protocol header."""
    from envoy.config.core.v3 import proxy_protocol_pb2
    from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2

    wrapper = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(transport_socket=inner)
    versions = proxy_protocol_pb2.ProxyProtocolConfig
    wrapper.config.version = versions.V2 if version == 2 else versions.V1
    return base_pb2.TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol", typed_config=pack(wrapper))


def plaintext() -> base_pb2.TransportSocket:
    """No TLS."""
    return base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer",
        typed_config=pack_empty("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
    )


def plain_client(
    tls: ClientTls, host: str, alpn: Iterable[str], by_secret: bool = False, shown: str = ""
) -> base_pb2.TransportSocket:
    """TLS as the DestinationRule says it (SIMPLE or MUTUAL): by SDS from its Secret, or with files of the container.

    Where it names no certificate, `shown` does, by its name in SDS.
    """
    context = tls_pb2.UpstreamTlsContext(sni=tls.sni or host)
    common = context.common_tls_context
    common.alpn_protocols.extend(alpn)
    if by_secret and tls.needs_pair:
        common.tls_certificate_sds_secret_configs.append(_secret(gateway_secret(tls.credential)))
    elif tls.client_certificate:
        certificate = common.tls_certificates.add()
        certificate.certificate_chain.filename = tls.client_certificate
        certificate.private_key.filename = tls.private_key
    elif shown:
        common.tls_certificate_sds_secret_configs.append(_secret(shown))
    if not tls.insecure_skip_verify:
        _verify_server(common, tls, by_secret)
    return base_pb2.TransportSocket(name=_SOCKET, typed_config=pack(context))


def _verify_server(common: tls_pb2.CommonTlsContext, tls: ClientTls, by_secret: bool) -> None:
    context = common.validation_context
    if by_secret:
        combined = common.combined_validation_context
        combined.validation_context_sds_secret_config.CopyFrom(_secret(gateway_secret(tls.credential, roots=True)))
        context = combined.default_validation_context
        context.SetInParent()
    elif tls.roots_pem:
        context.trusted_ca.inline_bytes = tls.roots_pem
    elif tls.ca_certificates and tls.ca_certificates != "system":
        context.trusted_ca.filename = tls.ca_certificates
    else:
        context.trusted_ca.filename = SYSTEM_ROOTS
    if tls.revocation_list:
        context.crl.filename = tls.revocation_list
    for name in tls.subject_alternative_names:
        _add_name(context, name)


def _add_name(context: common_pb2.CertificateValidationContext, name: str) -> None:
    kind = common_pb2.SubjectAltNameMatcher.URI if "://" in name else common_pb2.SubjectAltNameMatcher.DNS
    context.match_typed_subject_alt_names.add(san_type=kind).matcher.exact = name
