"""Who the client is, for the server's metrics: read once per connection from the client's certificate.

The control plane's CA writes the workload into the certificate's subject, where a client cannot forge it:
CN=workload, OU=app, O=version, L=canonical service, ST=canonical revision, DC=cluster; the namespace is in the URI.
"""

from __future__ import annotations

from functools import cache

from envoy.config.listener.v3 import listener_components_pb2

from kaiki.model.identity import UNKNOWN
from kaiki.translate.encode import pack_struct
from kaiki.translate.features.compact_labels import JOINED_KEY
from kaiki.translate.features.metric_labels import WORKLOAD_FIELDS

_SUBJECT_PARTS = {
    "workload": "CN",
    "app": "OU",
    "version": "O",
    "canonical_service": "L",
    "canonical_revision": "ST",
    "cluster": "DC",
}


def _part(text: str, pattern: str) -> str:
    """A CEL expression: the first group of a pattern, or `unknown` for a certificate that is not ours."""
    return rf"{text}.matches('{pattern}') ? re.extract({text}, '{pattern}', r'\1') : '{UNKNOWN}'"


@cache
def peer_filter() -> listener_components_pb2.Filter:
    """The network filter that puts `peer.workload`, `peer.app`, … into filter state after the handshake.

    `on_downstream_tls_handshake` is newer than our protobuf package, hence the struct.
    """
    subject, uri = "connection.subject_peer_certificate", "connection.uri_san_peer_certificate"
    expressions = {field: _part(subject, f"(?:^|.*,){part}=([^,]*).*") for field, part in _SUBJECT_PARTS.items()}
    expressions["workload_namespace"] = _part(uri, "spiffe://[^/]+/ns/([^/]+)/sa/.*")
    formats = {field: f"%CEL({expression})%" for field, expression in expressions.items()}
    # Values are set in this order, so the last can be made of those before it.
    formats[JOINED_KEY] = ";".join(f"%FILTER_STATE(peer.{field}:PLAIN)%" for field in WORKLOAD_FIELDS)
    values = [
        {
            "object_key": f"peer.{field}",
            "factory_key": "envoy.string",
            "format_string": {"text_format_source": {"inline_string": text}, "omit_empty_values": True},
        }
        for field, text in formats.items()
    ]
    config = pack_struct(
        "envoy.extensions.filters.network.set_filter_state.v3.Config", {"on_downstream_tls_handshake": values}
    )
    return listener_components_pb2.Filter(name="kaiki.peer_identity", typed_config=config)
