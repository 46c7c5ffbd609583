"""Where a generated resource comes from, in its metadata as Istio has it: the object's API path, and the field."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2

from kaiki.model.finding import ObjectRef

_GROUPS = {"PeerAuthentication": "security.istio.io", "AuthorizationPolicy": "security.istio.io"}
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def config_path(source: ObjectRef) -> str:
    """The API path of an object: the kind in small letters with dashes, as Istio writes it."""
    if source.kind.endswith("Route") or source.kind == "BackendTLSPolicy":
        return f"/apis/gateway.networking.k8s.io/v1/namespaces/{source.namespace}/{source.kind.lower()}/{source.name}"
    kind = _CAPITAL.sub("-", source.kind).lower()
    group = _GROUPS.get(source.kind, "networking.istio.io")
    return f"/apis/{group}/v1/namespaces/{source.namespace}/{kind}/{source.name}"


def mark_policies(metadata: base_pb2.Metadata, sources: Iterable[ObjectRef]) -> None:
    """Note the objects that refuse some of what a resource lets in."""
    paths = metadata.filter_metadata["istio"].fields["policies"].list_value
    for source in sources:
        paths.values.add(string_value=config_path(source))


def mark_origin(metadata: base_pb2.Metadata, source: ObjectRef, rule: str = "") -> None:
    """Note the object behind a resource and, if it is one of its parts, which (`http[0]`, `servers[1]`)."""
    fields = metadata.filter_metadata["istio"].fields
    fields["config"].string_value = config_path(source)
    if rule:
        fields["rule"].string_value = rule
