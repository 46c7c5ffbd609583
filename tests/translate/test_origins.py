"""Resources say which objects they come from, whatever stands around the marks on the wire."""

from __future__ import annotations

import pytest

from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import ROUTE_TYPE, Resource
from kaiki.translate.encode import versioned
from kaiki.translate.origins import config_path, mark_origin, mark_policies, origins_of


def table(*sources: ObjectRef, body: str = "", second: ObjectRef | None = None) -> Resource:
    from envoy.config.route.v3 import route_pb2

    message = route_pb2.RouteConfiguration(name="80")
    for source in sources:
        route = message.virtual_hosts.add(name=source.name).routes.add()
        mark_origin(route.metadata, source, "http[0]", second)
        route.direct_response.body.inline_string = body
    return versioned("80", ROUTE_TYPE, bytes(message.SerializeToString(deterministic=True)))


def virtual_service(name: str) -> ObjectRef:
    return ObjectRef("VirtualService", "default", name)


@pytest.mark.parametrize("length", [1, 2, 50, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 120, 253])
def test_names_of_every_length(length: int) -> None:
    names = "x" * length, "y" * length
    assert [one.name for one in origins_of(table(*map(virtual_service, names)))] == list(names)


@pytest.mark.parametrize(
    "kind",
    [
        "VirtualService",
        "DestinationRule",
        "Gateway",
        "HTTPRoute",
        "GRPCRoute",
        "TLSRoute",
        "TCPRoute",
        "Ingress",
        "AuthorizationPolicy",
    ],
)
def test_every_kind_that_marks(kind: str) -> None:
    source = ObjectRef(kind, "shop", "a.b-c")
    assert origins_of(table(source)) == (source,)


@pytest.mark.parametrize("length", [1, 60, 63, 64, 65, 66, 67, 120])
def test_policies_in_a_list(length: int) -> None:
    from envoy.config.listener.v3 import listener_pb2

    message = listener_pb2.Listener(name="a")
    sources = tuple(ObjectRef("AuthorizationPolicy", "shop", letter * length) for letter in "ab")
    mark_policies(message.metadata, sources)
    assert origins_of(versioned("a", ROUTE_TYPE, message.SerializeToString(deterministic=True))) == sources


def test_what_a_user_writes_is_no_mark() -> None:
    body = config_path(virtual_service("other"))
    assert origins_of(table(virtual_service("a"), body=body)) == (virtual_service("a"),)


def test_two_that_made_it_together() -> None:
    other = ObjectRef("Gateway", "edge", "g")
    assert set(origins_of(table(virtual_service("a"), second=other))) == {virtual_service("a"), other}
