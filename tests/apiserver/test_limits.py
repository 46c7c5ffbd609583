"""LimitRanges and the end of events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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


async def test_events_end() -> None:
    store = Store(":memory:")
    for name, last in (("old", "2030-01-01T10:00:00Z"), ("young", "2030-01-01T11:30:00Z"), ("timeless", None)):
        metadata = {"name": name, "namespace": "a", "creationTimestamp": "2030-01-01T11:30:00Z"}
        event = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "lastTimestamp": last}
        store.put(EVENTS, "a", name, event, 0)
    assert remove_expired(store, datetime(2030, 1, 1, 12, tzinfo=UTC)) == 1
    assert [record.name for record in store.list(EVENTS)] == ["timeless", "young"]
    store.close()
