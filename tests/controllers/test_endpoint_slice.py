"""Endpoints say which pods take requests, on which port."""

from typing import Any

from kaiki.controllers.action import Create, Delete, Patch
from kaiki.controllers.endpoint_slice import desired_endpoints, desired_slices, has_managed_endpoints, mirrored_slices
from kaiki.controllers.services import plan_endpoints, plan_slices

Object = dict[str, Any]


def service(**spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "tcp", "port": 9000}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "s", "labels": {"app": "web"}},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def pod(name: str, address: str = "10.97.0.2", ready: bool = True, port: int = 8080, **metadata: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "web"}, **metadata},
        "spec": {
            "nodeName": "kaiki",
            "containers": [{"name": "web", "ports": [{"name": "web", "containerPort": port}]}],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def test_a_slice_is_made_for_clients() -> None:
    (made,) = desired_slices(service(), [pod("a"), pod("other", labels={"app": "other"}), pod("starting", address="")])
    assert made["metadata"]["labels"] == {
        "app": "web",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert made["ports"] == [
        {"name": "http", "port": 8080, "protocol": "TCP"},
        {"name": "tcp", "port": 9000, "protocol": "TCP"},
    ]
    assert made["endpoints"] == [
        {
            "addresses": ["10.97.0.2"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a", "uid": "a"},
            "nodeName": "kaiki",
        }
    ]


def test_no_pods_is_an_empty_slice() -> None:
    (made,) = desired_slices(service(), [])
    assert made["endpoints"] == [] and made["addressType"] == "IPv4"


def test_an_ending_pod_serves_but_is_not_ready() -> None:
    ending = pod("a", deletionTimestamp="2030-01-01T00:00:00Z")
    (made,) = desired_slices(service(), [ending])
    assert made["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}
    (made,) = desired_slices(service(publishNotReadyAddresses=True), [ending])
    assert made["endpoints"][0]["conditions"]["ready"] is True


def test_named_ports_may_differ_between_pods() -> None:
    made = desired_slices(service(), [pod("a"), pod("b", "10.97.0.3", port=9090), pod("c", "fd00::1")])
    assert {(item["addressType"], item["ports"][0]["port"]) for item in made} == {
        ("IPv4", 8080),
        ("IPv4", 9090),
        ("IPv6", 8080),
    }
    assert len({item["metadata"]["name"] for item in made}) == 3


def test_a_headless_service_names_its_hosts() -> None:
    named = pod("a")
    named["spec"] |= {"hostname": "a-0", "subdomain": "web"}
    (made,) = desired_slices(service(clusterIP="None"), [named])
    assert made["endpoints"][0]["hostname"] == "a-0"
    assert made["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_services_without_selector_are_left_alone() -> None:
    assert has_managed_endpoints(service())
    assert not has_managed_endpoints(service(selector={}))
    assert not has_managed_endpoints(service(type="ExternalName"))


def test_the_legacy_object_tells_ready_from_not_ready() -> None:
    made = desired_endpoints(service(), [pod("a"), pod("b", "10.97.0.3", ready=False)])
    (subset,) = made["subsets"]
    assert [item["ip"] for item in subset["addresses"]] == ["10.97.0.2"]
    assert [item["ip"] for item in subset["notReadyAddresses"]] == ["10.97.0.3"]


def test_endpoints_written_by_hand_are_mirrored() -> None:
    subset = {
        "addresses": [{"ip": "192.0.2.1"}],
        "notReadyAddresses": [{"ip": "192.0.2.2"}],
        "ports": [{"name": "sql", "port": 3306}],
    }
    by_hand: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web", "namespace": "shop", "uid": "e"},
        "subsets": [subset],
    }
    (made,) = mirrored_slices(service(selector=None), by_hand)
    assert made["ports"] == [{"name": "sql", "port": 3306, "protocol": "TCP"}]
    assert [(item["addresses"], item["conditions"]["ready"]) for item in made["endpoints"]] == [
        (["192.0.2.1"], True),
        (["192.0.2.2"], False),
    ]
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    by_hand["metadata"]["labels"] = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert mirrored_slices(service(selector=None), by_hand) == []


def test_only_differences_are_written() -> None:
    (before,) = desired_slices(service(), [pod("a", ready=False)])
    (after,) = desired_slices(service(), [pod("a")])
    assert plan_slices([], [before]) == [Create(before)]
    assert plan_slices([before], [before]) == []
    assert plan_slices([before], [after]) == [Patch(before, {"endpoints": after["endpoints"]})]
    moved = desired_slices(service(), [pod("a", port=1)])
    assert plan_slices([before], moved) == [Create(moved[0]), Delete(before)]
    endpoints = desired_endpoints(service(), [pod("a")])
    assert plan_endpoints(None, endpoints) == [Create(endpoints)]
    assert plan_endpoints(endpoints, endpoints) == []
    empty = desired_endpoints(service(), [])
    assert plan_endpoints(endpoints, empty) == [Patch(endpoints, {"subsets": []})]
