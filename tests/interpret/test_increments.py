"""One change costs what it touches."""

from __future__ import annotations

import copy
from typing import Any

import small_mesh

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE
from kaiki.translate.generate import generate


def _documents(services: int) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = [{"kind": "Proxy", "metadata": {"name": "client", "namespace": "default"}}]
    for number in range(services):
        name = f"service-{number}"
        metadata = {"name": name, "namespace": "default"}
        documents.append({"kind": "Workload", "metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}]}})
        spec = {"hosts": [name], "http": [{"route": [{"destination": {"host": name}}]}]}
        documents.append(
            {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}
        )
    return documents


def _work_of_one_change(services: int) -> tuple[int, int]:
    """What interpretation and translation had to build after one VirtualService of many changed."""
    documents = _documents(services)
    inputs = dict(small_mesh.inputs(documents))
    (proxy,) = small_mesh.proxies(documents)
    memo, before = Memo(), interpret(inputs)
    old = generate(before.snapshot, proxy, memo)
    key = ("VirtualService", "default", "service-3")
    changed = copy.deepcopy(inputs[key])
    changed["spec"]["http"][0]["timeout"] = "1s"
    interpreted, built = before.memo.misses, memo.misses
    after = interpret({**inputs, key: changed}, before)
    new = generate(after.snapshot, proxy, memo)
    assert [name for name, item in new.of(ROUTE_TYPE).items() if old.of(ROUTE_TYPE)[name] != item] == ["80"]
    for type_url in (CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE):
        assert new.of(type_url) is old.of(type_url)
    return after.memo.misses - interpreted, memo.misses - built


def test_ten_times_the_mesh_does_not_make_one_change_dearer() -> None:
    assert _work_of_one_change(10) == _work_of_one_change(100)


def test_an_object_that_says_the_same_again_changes_nothing() -> None:
    inputs = dict(small_mesh.inputs(_documents(3)))
    before = interpret(inputs)
    key = ("Pod", "default", "service-1-v1-abc-0")
    touched = copy.deepcopy(inputs[key])
    touched["metadata"]["resourceVersion"] = "2"
    after = interpret({**inputs, key: touched}, before)
    assert after.snapshot.workloads["default", key[2]] is before.snapshot.workloads["default", key[2]]
    for name, endpoints in before.snapshot.endpoints.items():
        assert after.snapshot.endpoints[name] is endpoints


def test_one_changed_endpoint_changes_one_load_assignment() -> None:
    documents = _documents(20)
    inputs = dict(small_mesh.inputs(documents))
    (proxy,) = small_mesh.proxies(documents)
    memo, before = Memo(), interpret(inputs)
    old = generate(before.snapshot, proxy, memo)
    key = next(key for key in inputs if key[0] == "EndpointSlice" and "service-3" in key[2])
    changed = copy.deepcopy(inputs[key])
    changed["endpoints"][0]["conditions"] = {"ready": False}
    built = memo.misses
    after = interpret({**inputs, key: changed}, before)
    new = generate(after.snapshot, proxy, memo)
    names = [name for name, item in new.of(ENDPOINT_TYPE).items() if old.of(ENDPOINT_TYPE)[name] is not item]
    assert names == ["outbound|80||service-3.default.svc.cluster.local"]
    for type_url in (CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE):
        assert new.of(type_url) is old.of(type_url)
    assert memo.misses - built < 25
