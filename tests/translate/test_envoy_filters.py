"""What became of each patch, and what objects touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_mesh
import yaml
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from google.protobuf import json_format

from kaiki.interpret.interpretation import check_object, interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, EXTENSION_TYPE, LISTENER_TYPE
from kaiki.translate.generate import generate
from kaiki.translate.patches.values import BadValue, merge, message_type, parse

CASE = Path(__file__).with_name("cases") / "envoy-filters" / "in.yaml"


def test_every_patch_says_what_became_of_it() -> None:
    documents = list(yaml.safe_load_all(CASE.read_text()))
    (proxy,) = small_mesh.proxies(documents)
    memo, snapshot = Memo(), interpret(small_mesh.inputs(documents)).snapshot
    config = generate(snapshot, proxy, memo)
    by_patch = {(result.source.name, result.index): result for result in config.patches}
    assert all(by_patch["first", index].matched for index in range(3))
    assert [index for index in range(12) if not by_patch["second", index].matched] == [11]
    assert "no_such_field" in by_patch["second", 11].error
    assert ("second", 12) not in by_patch, "it is for other versions"
    assert (by_patch["second", 13].matched, by_patch["second", 13].error) == (0, "")
    assert not any(name == "others" for name, _ in by_patch)
    sources = config.touched[LISTENER_TYPE, "0.0.0.0_80"]
    assert [item.name for item in sources] == ["first", "second"]
    again = generate(snapshot, proxy, memo)
    assert all(again.of(CLUSTER_TYPE)[name] is item for name, item in config.of(CLUSTER_TYPE).items())


def test_configurations_that_stand_apart_are_resources_of_their_own() -> None:
    lua = {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}
    patches = [
        {"applyTo": "EXTENSION_CONFIG", "patch": {"operation": "ADD", "value": {"name": "own", "typed_config": lua}}},
        {"applyTo": "EXTENSION_CONFIG", "patch": {"operation": "ADD", "value": {"typed_config": lua}}},
        {"applyTo": "EXTENSION_CONFIG", "patch": {"operation": "REMOVE"}},
    ]
    obj = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "apart", "namespace": "default"},
        "spec": {"configPatches": patches},
    }
    documents = [obj, {"kind": "Proxy", "metadata": {"name": "client", "namespace": "default"}}]
    (proxy,) = small_mesh.proxies(documents)
    snapshot = interpret(small_mesh.inputs(documents)).snapshot
    config = generate(snapshot, proxy, Memo())
    assert list(config.of(EXTENSION_TYPE)) == ["own"]
    assert [item.name for item in config.touched[EXTENSION_TYPE, "own"]] == ["apart"]
    assert ["needs a name" in result.error for result in config.patches] == [False, True]
    (finding,) = check_object(obj, snapshot)
    assert (finding.code, finding.path) == ("KAI0701", "spec.configPatches[2].patch.operation")


def test_types_nobody_knows() -> None:
    assert message_type("type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua").DESCRIPTOR.name == "Lua"
    for name in ("own.Type", "envoy.extensions.filters.http.lua.v3.Nothing"):
        with pytest.raises(BadValue, match=name):
            message_type(f"type.googleapis.com/{name}")


CLASSES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: some, namespace: default}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: classes, namespace: default}
spec:
  configPatches:
  - {applyTo: HTTP_FILTER, match: &in {context: SIDECAR_INBOUND}, patch: {operation: ADD, value: {name: last}}}
  - {applyTo: HTTP_FILTER, match: *in, patch: {operation: ADD, filterClass: AUTHZ, value: {name: allowed}}}
  - {applyTo: HTTP_FILTER, match: *in, patch: {operation: ADD, filterClass: AUTHN, value: {name: known}}}
  - {applyTo: HTTP_FILTER, match: *in, patch: {operation: ADD, filterClass: STATS, value: {name: counted}}}
"""


@pytest.mark.parametrize("has_policy", [True, False])
def test_a_filter_is_added_where_its_class_belongs(has_policy: bool) -> None:
    documents = [*yaml.safe_load_all(CASE.read_text())]
    documents = [one for one in documents if one["kind"] != "EnvoyFilter"]
    documents += list(yaml.safe_load_all(CLASSES))[0 if has_policy else 1 :]
    (proxy,) = small_mesh.proxies(documents)
    config = generate(interpret(small_mesh.inputs(documents)).snapshot, proxy, Memo())
    listener = listener_pb2.Listener.FromString(config.of(LISTENER_TYPE)["virtualInbound"].body)
    chains = [chain for chain in listener.filter_chains if chain.filters[-1].name.endswith("http_connection_manager")]
    assert chains
    for chain in chains:
        manager = http.HttpConnectionManager.FromString(chain.filters[-1].typed_config.value)
        names = [item.name for item in manager.http_filters]
        ours = ["known", "envoy.filters.http.rbac", "allowed"] if has_policy else ["known", "allowed"]
        start = names.index("known")
        assert names[start : start + len(ours)] == ours
        assert names[-3:] == ["last", "counted", "envoy.filters.http.router"]


def test_what_is_one_value_is_replaced_as_one() -> None:
    base = {
        "connect_timeout": "1.5s",
        "respect_dns_ttl": True,
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 9}},
    }
    change = {
        "connect_timeout": "2s",
        "ring_hash_lb_config": {"minimum_ring_size": "7"},
        "upstream_connection_options": {
            "set_local_interface_name_on_upstream_connections": True,
            "tcp_keepalive": {"keepalive_time": 0, "keepalive_probes": 3},
        },
    }
    cluster = parse(base, Cluster)
    merge(cluster, parse(change, Cluster))
    assert json_format.MessageToDict(cluster, preserving_proto_field_name=True) == base | change


def test_what_is_packed_is_merged_at_any_depth() -> None:
    def socket(**parameters: Any) -> dict[str, Any]:
        tls = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            **parameters,
        }
        return {"transport_socket": {"name": "tls", "typed_config": tls}}

    cluster = parse(socket(sni="a.example", allow_renegotiation=True), Cluster)
    merge(cluster, parse(socket(sni="b.example"), Cluster))
    assert json_format.MessageToDict(cluster, preserving_proto_field_name=True) == socket(
        sni="b.example", allow_renegotiation=True
    )
