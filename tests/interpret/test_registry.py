"""What runs and what can be called, from Kubernetes' own objects."""

from __future__ import annotations

from typing import Any

import pytest
import small_mesh

from kaiki.interpret.interpretation import interpret
from kaiki.interpret.services import protocol_of
from kaiki.interpret.workloads import workload_instance, workload_of
from kaiki.model.identity import Identity
from kaiki.model.service import Protocol
from kaiki.model.workload import ProxyKind


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"name": "http", "port": 1}, Protocol.HTTP),
        ({"name": "http-web", "port": 1}, Protocol.HTTP),
        ({"name": "http2", "port": 1}, Protocol.HTTP2),
        ({"name": "grpc-web-x", "port": 1}, Protocol.HTTP),
        ({"name": "GRPC-x", "port": 1}, Protocol.GRPC),
        ({"name": "https", "port": 1}, Protocol.HTTPS),
        ({"name": "tcp", "port": 1}, Protocol.TCP),
        ({"name": "web", "port": 1}, Protocol.AUTO),
        ({"port": 1}, Protocol.AUTO),
        ({"name": "tcp", "appProtocol": "http", "port": 1}, Protocol.HTTP),
        ({"name": "x", "appProtocol": "kubernetes.io/h2c", "port": 1}, Protocol.HTTP2),
        ({"name": "http", "appProtocol": "example.org/own", "port": 1}, Protocol.AUTO),
        ({"name": "dns", "protocol": "UDP", "port": 53}, Protocol.UDP),
        ({"name": "db", "port": 3306}, Protocol.TCP),
    ],
)
def test_protocol_selection(port: dict[str, Any], expected: Protocol) -> None:
    assert protocol_of(port) is expected


def _pod(owner: tuple[str, str] | None, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    metadata = {"name": "p", "namespace": "shop", "labels": labels or {}, "ownerReferences": owners}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"podIP": "10.97.0.1"}}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (_pod(("ReplicaSet", "web-v1-7c9"), {"pod-template-hash": "7c9"}), ("Deployment", "web-v1")),
        (_pod(("ReplicaSet", "alone")), ("ReplicaSet", "alone")),
        (_pod(("StatefulSet", "db")), ("StatefulSet", "db")),
        (_pod(("Job", "report-29012345")), ("CronJob", "report")),
        (_pod(("Job", "once")), ("Job", "once")),
        (_pod(None), ("Pod", "p")),
    ],
)
def test_the_workload_is_what_a_user_deployed(pod: dict[str, Any], expected: tuple[str, str]) -> None:
    assert workload_of(pod) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{"name": "app"}]}, ProxyKind.NONE),
        ({"initContainers": [{"name": "istio-proxy"}], "containers": [{"name": "app"}]}, ProxyKind.SIDECAR),
        ({"containers": [{"name": "istio-proxy"}]}, ProxyKind.SIDECAR),
        ({"containers": [{"name": "istio-proxy", "args": ["--config-yaml", '{"id": "router~1"}']}]}, ProxyKind.GATEWAY),
    ],
)
def test_what_stands_before_a_pod(spec: dict[str, Any], expected: ProxyKind) -> None:
    assert workload_instance(_pod(None, **spec)).proxy is expected


def test_endpoints_know_their_workload() -> None:
    document = {
        "kind": "Workload",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}], "versions": {"v1": 1, "v2": 1}},
    }
    snapshot = interpret(small_mesh.inputs([document])).snapshot
    host = "web.shop.svc.cluster.local"
    one, two = sorted(snapshot.endpoints[host, 80], key=lambda item: item.pod)
    assert (one.port, one.mtls, one.identity) == (8080, True, Identity("shop", "web-account"))
    assert one.metric_labels is not None
    assert one.metric_labels.workload == "web-v1"
    assert ("version", "v2") in two.subset_labels
    assert [item.name for item in snapshot.services_by_workload["shop", "web-v1-abc-0"]] == ["web"]


def test_finished_pods_and_external_names_are_not_in_the_mesh() -> None:
    pod = _pod(None) | {"status": {"phase": "Succeeded"}}
    service = {"kind": "Service", "metadata": {"name": "x", "namespace": "shop"}, "spec": {"type": "ExternalName"}}
    snapshot = interpret(small_mesh.inputs([pod, service])).snapshot
    assert not snapshot.workloads
    assert not snapshot.services
