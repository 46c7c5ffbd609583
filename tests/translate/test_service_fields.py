"""What Kubernetes' Services and Nodes say of where traffic goes is in force in sidecars, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import readable
import real_envoy
import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ProxyConfig
from kaiki.translate.generate import generate

MESH = """
kind: Proxy
metadata: {name: client-v1-abc-0, namespace: default}
spec: {labels: {app: client}}
---
kind: Workload
metadata: {name: client, namespace: default}
spec: {versions: {v1: 1}}
---
kind: Workload
metadata: {name: web, namespace: default}
spec: {ports: [{name: http, port: 80}, {name: tcp, port: 90}], versions: {v1: 1, v2: 1}}
---
{kind: Node, metadata: {name: near, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: north}}}
---
{kind: Node, metadata: {name: far, labels: {topology.kubernetes.io/region: us, topology.kubernetes.io/zone: east}}}
"""
NAME = "outbound|80||web.default.svc.cluster.local"


def _config(**service: Any) -> ProxyConfig:
    documents = [document for document in yaml.safe_load_all(MESH) if document]
    inputs = dict(small_mesh.inputs(documents))
    for (kind, _, name), obj in inputs.items():
        if kind == "Pod":
            obj["spec"]["nodeName"] = "far" if "v2" in name else "near"
        if kind == "Service":
            obj["spec"] |= service
    (proxy,) = small_mesh.proxies(documents)
    return generate(interpret(inputs).snapshot, proxy, Memo())


def _endpoints(config: ProxyConfig) -> list[tuple[str, int]]:
    groups = readable.as_document(config.of(ENDPOINT_TYPE)[NAME])["endpoints"]
    return [(group["locality"]["region"], group.get("priority", 0)) for group in groups for _ in group["lb_endpoints"]]


def test_pods_are_where_their_nodes_are() -> None:
    assert _endpoints(_config()) == [("eu", 0), ("us", 0)]


def test_traffic_distribution() -> None:
    for value in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        assert _endpoints(_config(trafficDistribution=value)) == [("eu", 0), ("us", 1)]


def test_internal_traffic_policy() -> None:
    assert _endpoints(_config(internalTrafficPolicy="Local")) == [("eu", 0)]
    assert len(_endpoints(_config(internalTrafficPolicy="Cluster"))) == 2


def test_session_affinity(tmp_path: Path) -> None:
    readable.load_types()
    config = _config(sessionAffinity="ClientIP")
    assert readable.as_document(config.of(CLUSTER_TYPE)[NAME])["lb_policy"] == "RING_HASH"
    assert "source_ip" in str([readable.as_document(item) for item in config.of(LISTENER_TYPE).values()])
    assert real_envoy.validate(config, tmp_path) == ""
