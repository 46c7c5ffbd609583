"""TLS of a filter chain or a cluster, in a few words."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from kaiki.console.effective.rows import Tls

NO_TLS = Tls("none")


def of_chain(socket: base_pb2.TransportSocket) -> Tls:
    """What a filter chain asks of its clients."""
    if not socket.typed_config.type_url.endswith(".DownstreamTlsContext"):
        return NO_TLS
    context = tls_pb2.DownstreamTlsContext.FromString(socket.typed_config.value)
    mode = "mutual" if context.require_client_certificate.value else "simple"
    return _described(mode, context.common_tls_context)


def of_cluster(cluster: cluster_pb2.Cluster) -> Tls:
    """How a cluster's endpoints are spoken to."""
    for match in cluster.transport_socket_matches:
        found = _of_client(match.transport_socket, "automatic")
        if found is not None:
            return found
    return _of_client(cluster.transport_socket, "") or NO_TLS


def _of_client(socket: base_pb2.TransportSocket, mode: str) -> Tls | None:
    if socket.typed_config.type_url.endswith(".ProxyProtocolUpstreamTransport"):
        from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2 as proxy_protocol

        inner = proxy_protocol.ProxyProtocolUpstreamTransport.FromString(socket.typed_config.value).transport_socket
        return _of_client(inner, mode)
    if not socket.typed_config.type_url.endswith(".UpstreamTlsContext"):
        return None
    context = tls_pb2.UpstreamTlsContext.FromString(socket.typed_config.value)
    common = context.common_tls_context
    shows = bool(common.tls_certificate_sds_secret_configs or common.tls_certificates)
    return _described(mode or ("mutual" if shows else "simple"), common, context.sni)


def _described(mode: str, common: tls_pb2.CommonTlsContext, server_name: str = "") -> Tls:
    certificates = [item.name for item in common.tls_certificate_sds_secret_configs]
    certificates += [item.certificate_chain.filename for item in common.tls_certificates]
    combined = common.combined_validation_context
    inline: common_pb2.CertificateValidationContext = common.validation_context
    roots = common.validation_context_sds_secret_config.name or combined.validation_context_sds_secret_config.name
    if common.HasField("combined_validation_context"):
        inline = combined.default_validation_context
    names = []
    for item in inline.match_typed_subject_alt_names:
        kind = item.matcher.WhichOneof("match_pattern")
        names.append(f"{getattr(item.matcher, kind)}{'*' if kind == 'prefix' else ''}" if kind in _TEXTS else str(kind))
    return Tls(
        mode, server_name, tuple(one for one in certificates if one), roots or inline.trusted_ca.filename, tuple(names)
    )


_TEXTS = ("exact", "prefix", "suffix", "contains")
