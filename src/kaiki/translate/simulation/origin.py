"""Which API object put a generated resource there: read from the metadata translation leaves in it."""

from __future__ import annotations

import re

from envoy.config.core.v3 import base_pb2

from kaiki.model.finding import ObjectRef

_PATH = re.compile(r"/apis/[^/]+/[^/]+/namespaces/(?P<namespace>[^/]*)/(?P<kind>[^/]+)/(?P<name>[^/]+)$")


def origin(metadata: base_pb2.Metadata) -> tuple[ObjectRef | None, str]:
    """(object, field) from `istio: {config: /apis/…/virtual-service/reviews, rule: http[0]}`."""
    if "istio" not in metadata.filter_metadata:
        return None, ""
    fields = metadata.filter_metadata["istio"].fields
    match = _PATH.match(fields["config"].string_value) if "config" in fields else None
    if match is None:
        return None, ""
    kind = "".join(part.capitalize() for part in match["kind"].split("-"))
    names = {"Httproute": "HTTPRoute", "Grpcroute": "GRPCRoute", "Tcproute": "TCPRoute", "Tlsroute": "TLSRoute"}
    kind = names.get(kind, kind)
    rule = fields["rule"].string_value if "rule" in fields else ""
    return ObjectRef(kind, match["namespace"], match["name"]), f"spec.{rule}" if rule else ""
