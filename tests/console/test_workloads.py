"""From Kubernetes objects to the graph's registry."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.console.errors import BadRequest
from kaiki.console.selectors import parse_edge, parse_node, selections_of_edge, selections_of_node, write_selector
from kaiki.console.workloads import (
    describe_configs,
    describe_pods,
    describe_tolerances,
    describe_workloads,
    owner_of,
    trim_pod,
)


def pod(name: str, *, owner: tuple[str, str] | None = None, labels: dict[str, str] | None = None) -> dict[str, Any]:
    owners = [{"kind": owner[0], "name": owner[1]}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels or {}, "ownerReferences": owners},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_replica_sets_pods_belong_to_its_deployment() -> None:
    owned = pod("web-abc-1", owner=("ReplicaSet", "web-abc"), labels={"pod-template-hash": "abc"})
    assert owner_of(owned) == ("Deployment", "web")
    assert owner_of(pod("web-0", owner=("StatefulSet", "web"))) == ("StatefulSet", "web")
    assert owner_of(pod("alone")) == ("Pod", "alone")


def test_pods_without_a_deployment_are_workloads_of_their_owner() -> None:
    pods = [pod(f"db-{number}", owner=("StatefulSet", "db"), labels={"app": "db"}) for number in range(2)]
    (found,) = describe_workloads([], pods)
    assert (found.name, found.kind, found.desired_replicas, found.sidecar) == ("db", "StatefulSet", 2, False)
    assert (found.app, found.version) == ("db", "")


def test_finished_pods_do_not_count() -> None:
    done = pod("job-1", owner=("Job", "job"))
    done["status"]["phase"] = "Succeeded"
    assert describe_workloads([], [done]) == ()


def test_trimmed_pods_tell_the_same() -> None:
    whole, trimmed = pod("web"), pod("web")
    trim_pod(trimmed)
    assert describe_workloads([], [trimmed]) == describe_workloads([], [whole])
    assert "image" not in trimmed["spec"]["containers"][0]


def test_features_of_routes_and_policies() -> None:
    route = {"hosts": ["api", "api.shop.svc.cluster.local", "x.example"], "http": [{"fault": {"abort": {}}}]}
    rule = {"host": "api", "subsets": [{"name": "v1", "trafficPolicy": {"outlierDetection": {"interval": "1s"}}}]}
    metadata = {"name": "api", "namespace": "shop"}
    virtual_service, policy = describe_configs(
        [{"metadata": metadata, "spec": route}], [{"metadata": metadata, "spec": rule}]
    )
    assert virtual_service.hosts == (("shop", "api"), ("shop", "api"), ("", "x.example"))
    assert (virtual_service.features, policy.features) == (("fault",), ("circuitBreaker",))


def test_each_request_is_in_one_selection() -> None:
    first, second = selections_of_node(parse_node("workload:shop/api"), "inbound")
    assert first["reporter"] == "source"
    assert second["source_workload"] == "unknown"
    assert selections_of_node(parse_node("unknown"), "outbound") == [
        {"reporter": "destination", "source_workload": "unknown"}
    ]


def test_edge_ids_become_matchers() -> None:
    source, target, protocol = parse_edge("app:shop/web@v1>service:/api.example.org|grpc")
    assert protocol == "grpc"
    assert selections_of_edge(source, target) == [
        {
            "reporter": "source",
            "source_workload_namespace": "shop",
            "source_canonical_service": "web",
            "source_canonical_revision": "v1",
            "destination_service_name": "api.example.org",
        }
    ]


def test_values_cannot_leave_their_quotes() -> None:
    (selection, _) = selections_of_node(parse_node('workload:shop/a"} or up{x="\\'), "inbound")
    written = write_selector("m", selection)
    assert 'destination_workload="a\\"} or up{x=\\"\\\\"' in written


def test_a_service_that_no_workload_answered_for() -> None:
    source, target, _ = parse_edge("workload:shop/api>service:shop/cart|http")
    (reached,) = selections_of_edge(source, target)
    (unreached,) = selections_of_edge(source, target, unreached=True)
    assert unreached == reached | {"destination_workload": "unknown"}
    for matchers in selections_of_node(target, "inbound", unreached=True):
        assert matchers["destination_workload"] == "unknown"


def test_tolerances_of_the_configuration_and_of_annotations() -> None:
    config = "health_config: {rate: [{namespace: shop, tolerance: [{code: 5XX, failure: 30}]}, {kind: '('}]}"
    named = {"namespace": "shop", "annotations": {"health.kiali.io/rate": "5XX,1,2,http,inbound"}}
    deployments = [
        {"metadata": {"name": "a", **named}},
        {"metadata": {"name": "b", "namespace": "shop"}, "spec": {"template": {"metadata": named}}},
    ]
    wrong = {"metadata": {"name": "c", "namespace": "shop", "annotations": {"health.kiali.io/rate": "none"}}}
    found = describe_tolerances(config, deployments, [wrong])
    for name in ("a", "b"):
        assert found.of("workload", "shop", [("workload", name)])[0].failure == 0.02
    assert found.of("service", "shop", [("service", "c")])[0].failure == 0.3
    assert [problem.split(":")[0] for problem in found.problems] == [
        "ConfigMap istio-system/kiali",
        "service shop/c, annotation health.kiali.io/rate",
    ]
    assert describe_tolerances("{", (), ()).problems


def test_pods_are_told_by_their_own_proxies() -> None:
    source, target, _ = parse_edge("pod:shop/web/web-1>workload:shop/api|http")
    assert selections_of_edge(source, target) == [
        {
            "reporter": "source",
            "pod": "web-1",
            "source_workload_namespace": "shop",
            "source_workload": "web",
            "destination_workload_namespace": "shop",
            "destination_workload": "api",
        }
    ]
    of_callee = {"reporter": "destination", "pod": "api-2", "destination_workload_namespace": "shop"}
    of_callee |= {"destination_workload": "api"}
    assert selections_of_node(parse_node("pod:shop/api/api-2"), "inbound") == [of_callee]
    (arriving,) = selections_of_edge(*parse_edge("workload:shop/api>pod:shop/api/api-2|http")[:2])
    assert arriving == of_callee | {"source_workload": "unknown"}
    assert 'source_workload!="unknown"' in write_selector("m", arriving)
    (silent,) = selections_of_edge(*parse_edge("workload:shop/old>pod:shop/api/api-2|http")[:2])
    assert silent == of_callee | {"source_workload_namespace": "shop", "source_workload": "old"}
    with pytest.raises(BadRequest):
        parse_node("pod:shop/api")


def test_the_cluster_is_every_known_workload() -> None:
    (selection,) = selections_of_edge(*parse_edge("cluster>service:/api.example.org|http")[:2])
    assert write_selector("m", selection) == (
        'm{destination_service_name="api.example.org",reporter="source",source_workload!="unknown"}'
    )


def test_pods_that_have_ended_are_none() -> None:
    ended = pod("job-1", owner=("Job", "job")) | {"status": {"phase": "Succeeded"}}
    (found,) = describe_pods([ended, pod("web-abc-1", owner=("StatefulSet", "web"))])
    assert (found.namespace, found.name, found.workload, found.ready, found.sidecar) == (
        "shop",
        "web-abc-1",
        "web",
        True,
        False,
    )
