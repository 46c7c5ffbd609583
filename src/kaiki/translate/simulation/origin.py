"""Which API object put a generated resource there: read from the metadata translation leaves in it."""

from __future__ import annotations

import re

from envoy.config.core.v3 import base_pb2

from kaiki.model.finding import ObjectRef

_PATH = re.compile(r"/apis/[^/]+/[^/]+/namespaces/(?P<namespace>[^/]*)/(?P<kind>[^/]+)/(?P<name>[^/]+)$")
_NAMES = {
    "Httproute": "HTTPRoute",
    "Grpcroute": "GRPCRoute",
    "Tcproute": "TCPRoute",
    "Tlsroute": "TLSRoute",
    "Backendtlspolicy": "BackendTLSPolicy",
}


def origin(metadata: base_pb2.Metadata) -> tuple[ObjectRef | None, str]:
    """(object, field) from `istio: {config: /apis/…/virtual-service/reviews, rule: http[0]}`."""
    if "istio" not in metadata.filter_metadata:
        return None, ""
    fields = metadata.filter_metadata["istio"].fields
    source = origin_of_path(fields["config"].string_value) if "config" in fields else None
    if source is None:
        return None, ""
    rule = fields["rule"].string_value if "rule" in fields else ""
    return source, f"spec.{rule}" if rule else ""


def origin_of_path(path: str) -> ObjectRef | None:
    """The object of an API path as translation writes it; None for any other text."""
    match = _PATH.match(path)
    if match is None:
        return None
    kind = "".join(part.capitalize() for part in match["kind"].split("-"))
    return ObjectRef(_NAMES.get(kind, kind), match["namespace"], match["name"])
