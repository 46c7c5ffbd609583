"""LimitRanges and the end of events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kaiki.apiserver.expiry import EVENTS, remove_expired
from kaiki.apiserver.limit_ranges import apply_limit_ranges
from kaiki.apiserver.store import Store


def limit_range(**item: Any) -> dict[str, Any]:
    return {"spec": {"limits": [{"type": "Container", **item}]}}


def pod(**resources: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b", "resources": resources}]}}


def test_defaults_are_written() -> None:
    made = pod()
    apply_limit_ranges(made, [limit_range(default={"memory": "1Gi"}, defaultRequest={"cpu": "100m"})])
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "1Gi"},
    }
    note = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert note == "LimitRanger plugin set: cpu, memory request for container a; memory limit for container a"


def test_what_is_named_stays() -> None:
    made = pod(limits={"memory": "2Gi"}, requests={"memory": "2Gi"})
    apply_limit_ranges(made, [limit_range(default={"memory": "1Gi"}, defaultRequest={"memory": "1Gi"})])
    assert made == pod(limits={"memory": "2Gi"}, requests={"memory": "2Gi"})


def test_without_ranges_nothing_is_written() -> None:
    made = pod()
    apply_limit_ranges(made, [{"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}])
    assert made == pod()


MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
QUOTAS = "/api/v1/namespaces/default/resourcequotas"


async def test_minima_and_maxima(api: Any) -> None:
    limits = {"type": "Container", "min": {"cpu": "100m"}, "max": {"memory": "1Gi"}}
    await api.post("/api/v1/namespaces/default/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": [limits]}})
    code, refused = await api.post(PODS, pod(requests={"cpu": "50m"}, limits={"memory": "2Gi"}))
    assert (code, refused["message"]) == (
        403,
        'pods "p" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, '
        "maximum memory usage per Container is 1Gi, but limit is 2Gi]",
    )
    assert (await api.post(PODS, pod(requests={"cpu": "0.2"}, limits={"memory": "1000Mi"})))[0] == 201


async def test_quotas(api: Any) -> None:
    hard = {"configmaps": "2", "count/deployments.apps": "0", "requests.cpu": "300m", "services.nodeports": "1"}
    assert (await api.post(QUOTAS, {"metadata": {"name": "most"}, "spec": {"hard": hard}}))[0] == 201
    for name in ("a", "b"):
        assert (await api.post(MAPS, {"metadata": {"name": name}}))[0] == 201
    code, refused = await api.post(MAPS, {"metadata": {"name": "c"}})
    why = "exceeded quota: most, requested: configmaps=1, used: configmaps=2, limited: configmaps=2"
    assert (code, refused["message"]) == (403, f'configmaps "c" is forbidden: {why}')
    assert (await api.delete(f"{MAPS}/a"))[0] == 200
    assert (await api.post(MAPS, {"metadata": {"name": "c"}}))[0] == 201
    assert (await api.post(PODS, pod(requests={"cpu": "0.2"})))[0] == 201
    code, refused = await api.post(PODS, pod() | {"metadata": {"name": "q"}})
    assert (code, refused["message"].partition("failed quota: ")[2]) == (403, "most: must specify requests.cpu for: a")
    code, refused = await api.post(PODS, pod(requests={"cpu": "200m"}) | {"metadata": {"name": "q"}})
    assert "requested: requests.cpu=200m, used: requests.cpu=200m, limited: requests.cpu=300m" in refused["message"]
    spec = {"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    services = "/api/v1/namespaces/default/services"
    assert (await api.post(services, {"metadata": {"name": "s"}, "spec": spec}))[0] == 403
    _, quota = await api.get(f"{QUOTAS}/most")
    assert quota["status"]["used"] == {
        "configmaps": "2",
        "count/deployments.apps": "0",
        "requests.cpu": "200m",
        "services.nodeports": "0",
    }


async def test_events_end() -> None:
    store = Store(":memory:")
    for name, last in (("old", "2030-01-01T10:00:00Z"), ("young", "2030-01-01T11:30:00Z"), ("timeless", None)):
        metadata = {"name": name, "namespace": "a", "creationTimestamp": "2030-01-01T11:30:00Z"}
        event = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "lastTimestamp": last}
        store.put(EVENTS, "a", name, event, 0)
    assert remove_expired(store, datetime(2030, 1, 1, 12, tzinfo=UTC)) == 1
    assert [record.name for record in store.list(EVENTS)] == ["timeless", "young"]
    store.close()


@pytest.mark.parametrize(
    ("budget", "allowed"),
    [
        ({"minAvailable": 1}, 201),
        ({"minAvailable": 2}, 429),
        ({"minAvailable": "50%"}, 201),
        ({"minAvailable": "51%"}, 429),
        ({"maxUnavailable": 0}, 429),
        ({"maxUnavailable": "50%"}, 201),
    ],
)
async def test_evictions_keep_to_budgets(api: Any, budget: dict[str, Any], allowed: int) -> None:
    pods = "/api/v1/namespaces/default/pods"
    owner = await stateful_set(api)
    for name in ("one", "two"):
        meta = {"name": name, "labels": {"app": "web"}, "ownerReferences": [owner]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
        await api.post(pods, pod | {"spec": {"containers": [{"name": "a", "image": "a"}]}})
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        code, answer = await api.call(
            "PATCH", f"{pods}/{name}/status", {"status": status}, "application/merge-patch+json"
        )
        assert code == 200, answer
    spec = {"selector": {"matchLabels": {"app": "web"}}, **budget}
    meta = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "budget"}}
    await api.post("/apis/policy/v1/namespaces/default/poddisruptionbudgets", meta | {"spec": spec})
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "one", "namespace": "default"}}
    code, answer = await api.call("POST", f"{pods}/one/eviction", eviction)
    assert code == allowed, answer
    if code == 429:
        assert answer["reason"] == "TooManyRequests"
        assert answer["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
        (cause,) = answer["details"]["causes"]
        told = "The disruption budget budget needs 2 healthy pods and has 2 currently"
        assert cause == {"reason": "DisruptionBudget", "message": told}
    else:
        # The grace period runs: the pod is still there, and does not count any more.
        code, answer = await api.call("POST", f"{pods}/two/eviction", eviction | {"metadata": {"name": "two"}})
        assert code == 429, answer


async def test_evictions_that_a_budget_leaves_alone_or_cannot_judge(api: Any) -> None:
    pods, budgets = "/api/v1/namespaces/default/pods", "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "1", "controller": True}
    for name, phase in (("ready", "Running"), ("broken", "Running"), ("waiting", "Pending")):
        meta = {"name": name, "labels": {"app": "web"}, "ownerReferences": [owner]}
        await api.post(
            pods, {"metadata": meta, "spec": {"nodeName": "kaiki", "containers": [{"name": "a", "image": "a"}]}}
        )
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(name == "ready")}]}
        await api.patch(f"{pods}/{name}/status", {"status": status})
    budget = {"metadata": {"name": "budget"}, "spec": {"selector": {}, "maxUnavailable": 1}}
    await api.post(budgets, budget)

    async def evict(name: str) -> tuple[int, Any]:
        answer: tuple[int, Any] = await api.post(f"{pods}/{name}/eviction", {"metadata": {"name": name}})
        return answer

    code, answer = await evict("ready")
    assert (code, answer["details"]["causes"][0]["message"].partition(":")[2]) == (
        429, ' found no controllers for pod "broken"',
    )  # fmt: skip
    assert (await evict("waiting"))[0] == 201
    await api.patch(f"{budgets}/budget", {"spec": {"maxUnavailable": None, "minAvailable": 2}})
    assert (await evict("broken"))[0] == 429
    await api.patch(f"{budgets}/budget", {"spec": {"minAvailable": 1}})
    assert (await api.post(f"{pods}/broken/eviction?dryRun=All", {"metadata": {"name": "broken"}}))[0] == 201
    await api.patch(f"{budgets}/budget", {"spec": {"minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"}})
    assert (await evict("broken"))[0] == 201
    await api.post(budgets, {"metadata": {"name": "second"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}})
    code, answer = await evict("ready")
    assert (code, "more than one PodDisruptionBudget" in answer["message"]) == (500, True)


async def stateful_set(api: Any) -> dict[str, Any]:
    """A StatefulSet of two; answers the owner reference of its pods."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"replicas": 2, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}}, "template": template}
    code, made = await api.post(
        "/apis/apps/v1/namespaces/default/statefulsets", {"metadata": {"name": "web"}, "spec": spec}
    )
    assert code == 201, made
    uid = made["metadata"]["uid"]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": uid, "controller": True}


@pytest.mark.parametrize(
    ("spec", "field", "told"),
    [
        ({"minAvailable": 1, "maxUnavailable": 1}, "spec", "cannot be both set"),
        ({"minAvailable": -1}, "spec.minAvailable", "greater than or equal to 0"),
        ({"maxUnavailable": "half"}, "spec.maxUnavailable", "a valid percent string"),
        ({"maxUnavailable": "101%"}, "spec.maxUnavailable", "greater than 100%"),
        ({"unhealthyPodEvictionPolicy": "Never"}, "spec.unhealthyPodEvictionPolicy", "supported values"),
    ],
)
async def test_budgets_that_say_nothing_sensible(api: Any, spec: dict[str, Any], field: str, told: str) -> None:
    body = {"metadata": {"name": "budget"}, "spec": spec}
    code, answer = await api.post("/apis/policy/v1/namespaces/default/poddisruptionbudgets", body)
    (cause,) = answer["details"]["causes"]
    assert (code, cause["field"], told in cause["message"]) == (422, field, True), answer
