"""What kubectl shows."""

from typing import Any

from kaiki.runtime.plan import ContainerState, Ending, Phase, PodState
from kaiki.runtime.status import pod_status

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "default", "uid": "u"},
    "spec": {"containers": [{"name": "app", "image": "a"}]},
}
READY = ContainerState(phase=Phase.RUNNING, started=True, ready=True, started_at=1.0, process_id="x")


def status(container: ContainerState, previous: dict[str, Any] | None = None, now: float = 100.0) -> dict[str, Any]:
    state = PodState(containers={"app": container}, address="10.97.1.1", volumes_ready=True)
    return pod_status({**POD, "status": previous or {}}, state, now)


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(dict(one) for one in found["conditions"] if one["type"] == kind)


def test_ready() -> None:
    found = status(READY)
    assert found["phase"] == "Running" and condition(found, "Ready")["status"] == "True"
    assert found["containerStatuses"][0]["state"] == {"running": {"startedAt": "1970-01-01T00:00:01Z"}}


def test_times_stay_while_nothing_changes() -> None:
    first = status(READY)
    assert status(READY, first, now=200.0) == first


def test_a_change_has_its_time() -> None:
    first = status(READY)
    later = status(ContainerState(phase=Phase.RUNNING, started=True), first, now=200.0)
    assert condition(later, "Ready")["lastTransitionTime"] == "1970-01-01T00:03:20Z"
    assert condition(later, "Initialized") == condition(first, "Initialized")


def test_crash_loop() -> None:
    ending = Ending(3, reason="Error", message="boom")
    found = status(ContainerState(phase=Phase.ENDED, ending=ending, failures=2, restart_count=4))
    container = found["containerStatuses"][0]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["exitCode"] == 3 and container["restartCount"] == 4


def test_conditions_of_others_stay() -> None:
    other = {"type": "example.org/Gate", "status": "False", "lastTransitionTime": "x"}
    gated = {**POD, "spec": {**POD["spec"], "readinessGates": [{"conditionType": "example.org/Gate"}]}}
    state = PodState(containers={"app": READY}, address="10.97.1.1", volumes_ready=True)
    found = pod_status({**gated, "status": {"conditions": [other]}}, state, 1.0)
    assert other in found["conditions"]
    assert condition(found, "Ready")["status"] == "False" and condition(found, "ContainersReady")["status"] == "True"
