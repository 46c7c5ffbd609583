"""Where a generated resource comes from, in its metadata as Istio has it: the object's API path, and the field."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2

from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import Resource

ISTIO_NETWORKING = "networking.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"
KUBERNETES_NETWORKING = "networking.k8s.io"
ISTIO_SECURITY = "security.istio.io"
_OBJECT = "config"
_SECOND_OBJECT = "also"
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SECURITY_KINDS = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
_GATEWAY_API_KINDS = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "BackendTLSPolicy")
_KINDS = {
    **{(ISTIO_NETWORKING, _CAPITAL.sub("-", kind).lower()): kind for kind in ("VirtualService", "DestinationRule")},
    (ISTIO_NETWORKING, "gateway"): "Gateway",
    **{(GATEWAY_API, kind.lower()): kind for kind in _GATEWAY_API_KINDS},
    **{(ISTIO_SECURITY, _CAPITAL.sub("-", kind).lower()): kind for kind in _SECURITY_KINDS},
    (KUBERNETES_NETWORKING, "ingress"): "Ingress",
}
_PATH = re.compile(rb"/apis/([a-z0-9.]+)/v1/namespaces/")
_TEXT, _IN_MAP, _IN_LIST = 26, 18, 10
"""Tags on the wire: of a text in a value; of that value in a map, after its key, and in a list."""
_KEYS = (_OBJECT.encode(), _SECOND_OBJECT.encode())


def config_path(source: ObjectRef) -> str:
    """The API path of an object: the kind in small letters, Istio's with dashes as Istio writes it."""
    group, kind = ISTIO_NETWORKING, _CAPITAL.sub("-", source.kind).lower()
    if source.kind in _GATEWAY_API_KINDS:
        group, kind = GATEWAY_API, source.kind.lower()
    elif source.kind in _SECURITY_KINDS:
        group = ISTIO_SECURITY
    elif source.kind == "Ingress":
        group = KUBERNETES_NETWORKING
    return f"/apis/{group}/v1/namespaces/{source.namespace}/{kind}/{source.name}"


def mark_policies(metadata: base_pb2.Metadata, sources: Iterable[ObjectRef]) -> None:
    """Note the objects that refuse some of what a resource lets in."""
    paths = metadata.filter_metadata["istio"].fields["policies"].list_value
    for source in sources:
        paths.values.add(string_value=config_path(source))


def mark_origin(
    metadata: base_pb2.Metadata, source: ObjectRef, rule: str = "", second: ObjectRef | None = None
) -> None:
    """Note the object behind a resource and, if it is one of its parts, which (`http[0]`, `servers[1]`); and another
    object, where two made it together."""
    fields = metadata.filter_metadata["istio"].fields
    fields[_OBJECT].string_value = config_path(source)
    if rule:
        fields["rule"].string_value = rule
    if second is not None and second != source:
        fields[_SECOND_OBJECT].string_value = config_path(second)


def origins_of(item: Resource) -> tuple[ObjectRef, ...]:
    """The objects that a resource's marks name, each once."""
    found: dict[ObjectRef, None] = {}
    for match in _PATH.finditer(item.body):
        end = _end_of_mark(item.body, match.start())
        parts = item.body[match.start() : end].decode("utf-8", "replace").split("/") if end else []
        kind = _KINDS.get((match[1].decode(), parts[6])) if len(parts) == 8 else None
        if kind is not None:
            found[ObjectRef(kind, parts[5], parts[7])] = None
    return tuple(found)


def _end_of_mark(body: bytes, start: int) -> int:
    """Where the path ends that begins at `start`; 0 if it is no value of its own: anybody may write such a text."""
    length, text = _number_before(body, start, _TEXT)
    whole, container = _number_before(body, text, _IN_MAP, _IN_LIST)
    if not length or whole != start - text + length:
        return 0
    is_marked = body[container] == _IN_LIST or body.endswith(_KEYS, 0, container)
    return start + length if is_marked else 0


def _number_before(body: bytes, end: int, *tags: int) -> tuple[int, int]:
    """The length that ends before `end`, after one of some tags, and where that tag stands; (0, 0) if there is none.

    Seven bits a byte, the low ones first; all bytes but the last have the highest bit.
    """
    for size in (1, 2):
        place = end - size - 1
        data = body[place + 1 : end]
        if place >= 0 and body[place] in tags and [byte >> 7 for byte in data] == [1] * (size - 1) + [0]:
            return sum((byte & 127) << 7 * index for index, byte in enumerate(data)), place
    return 0, 0
