"""Hand-made bytes are what protobuf reads."""

from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import given
from hypothesis import strategies as st

from kaiki.discovery.wire import DiscoveryResponse, encode_response, parse_request
from kaiki.model.proxy import Resource

names = st.text(st.characters(codec="utf-8"), max_size=300)
bodies = st.integers(0, 40_000).map(bytes)


@given(st.lists(st.tuples(names, names, bodies), max_size=4), st.lists(names, max_size=3), names)
def test_a_response_is_read_back(items: list[tuple[str, str, bytes]], removed: list[str], version: str) -> None:
    resources = tuple(Resource(name, "type.example/T", revision, body) for name, revision, body in items)
    data = encode_response(DiscoveryResponse("type.example/T", "7", resources, tuple(removed)), version)
    message = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
    assert [(one.name, one.version, one.resource.value) for one in message.resources] == items
    assert all(one.resource.type_url == "type.example/T" for one in message.resources)
    assert list(message.removed_resources) == removed
    assert (message.type_url, message.nonce, message.system_version_info) == ("type.example/T", "7", version)


def test_a_request_is_read() -> None:
    message = discovery_pb2.DeltaDiscoveryRequest(
        type_url="t",
        response_nonce="4",
        resource_names_subscribe=["a"],
        resource_names_unsubscribe=["b"],
        initial_resource_versions={"c": "1"},
    )
    message.node.id = "sidecar~x"
    request = parse_request(message.SerializeToString())
    assert (request.subscribe, request.unsubscribe, request.initial_versions) == (("a",), ("b",), {"c": "1"})
    assert (request.type_url, request.nonce, request.rejection, request.node_id) == ("t", "4", None, "sidecar~x")
    message.error_detail.code = 13
    message.error_detail.message = "no"
    assert parse_request(message.SerializeToString()).rejection == "no"


def test_a_proxy_says_its_version() -> None:
    message = discovery_pb2.DeltaDiscoveryRequest(type_url="t")
    assert parse_request(message.SerializeToString()).proxy_version == ""
    number = message.node.user_agent_build_version.version
    number.major_number, number.minor_number, number.patch = 1, 40, 2
    assert parse_request(message.SerializeToString()).proxy_version == "1.40.2"
