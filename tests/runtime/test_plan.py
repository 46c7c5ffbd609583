"""The order of things in a pod's life."""

import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaiki.runtime.plan import (
    ContainerState,
    Ending,
    MakeSandbox,
    Phase,
    PodState,
    PrepareVolumes,
    Remove,
    StartContainer,
    StopContainer,
    WakeAt,
    backoff_seconds,
    plan,
)
from kaiki.runtime.status import pod_phase, pod_status


def pod(policy: str = "Always", **spec: Any) -> dict[str, Any]:
    inits = [{"name": "init"}, {"name": "proxy", "restartPolicy": "Always"}, {"name": "after"}]
    everything = {"initContainers": inits, "containers": [{"name": "app"}, {"name": "extra"}], "restartPolicy": policy}
    return {"metadata": {"name": "p", "namespace": "default", "uid": "u"}, "spec": everything | spec}


DONE = ContainerState(phase=Phase.ENDED, ending=Ending(0))
FAILED = ContainerState(phase=Phase.ENDED, ending=Ending(1), failures=1)
STARTED = ContainerState(phase=Phase.RUNNING, started=True, ready=True)
RUNNING = ContainerState(phase=Phase.RUNNING)


def state(**containers: ContainerState) -> PodState:
    return PodState(containers=containers, address="10.97.1.1", volumes_ready=True)


def test_sandbox_then_volumes() -> None:
    assert plan(pod(), PodState(), 0) == [MakeSandbox()]
    assert plan(pod(), PodState(address="a"), 0) == [PrepareVolumes()]
    assert plan(pod(), PodState(address="a", volumes_pending=True), 0) == []


def test_init_containers_one_by_one() -> None:
    assert plan(pod(), state(), 0) == [StartContainer("init")]
    assert plan(pod(), state(init=RUNNING), 0) == []
    assert plan(pod(), state(init=DONE), 0) == [StartContainer("proxy")]
    assert plan(pod(), state(init=DONE, proxy=RUNNING), 0) == []
    assert plan(pod(), state(init=DONE, proxy=STARTED), 0) == [StartContainer("after")]
    ready = state(init=DONE, proxy=STARTED, after=DONE)
    assert plan(pod(), ready, 0) == [StartContainer("app"), StartContainer("extra")]


def test_a_sidecar_that_ends_is_restarted_and_holds_nobody_up() -> None:
    ended = replace(FAILED, restart_count=1)
    found = plan(pod(), state(init=DONE, proxy=ended, after=DONE, app=STARTED, extra=STARTED), 0)
    assert found == [StartContainer("proxy")]


def test_a_failed_init_container_is_tried_again_unless_never() -> None:
    assert plan(pod(), state(init=FAILED), 0) == [StartContainer("init")]
    assert plan(pod("Never"), state(init=FAILED), 0) == []
    assert pod_phase(pod("Never"), state(init=FAILED)) == "Failed"


def test_restarts_wait_for_their_time() -> None:
    waiting = replace(FAILED, due_at=50.0)
    assert plan(pod(), state(init=DONE, proxy=STARTED, after=DONE, app=waiting, extra=STARTED), 40) == [WakeAt(50.0)]


def test_a_deleted_pod_serves_until_the_news_has_spread() -> None:
    deleted = replace(
        state(init=DONE, proxy=STARTED, after=DONE, app=STARTED, extra=STARTED), grace_seconds=5.0, drain_until=50.0
    )
    assert plan(pod(), deleted, 49) == [WakeAt(50.0)]
    assert plan(pod(), deleted, 50) == [StopContainer("app", 5.0), StopContainer("extra", 5.0)]


def test_completion_stops_the_sidecars() -> None:
    complete = state(init=DONE, proxy=STARTED, after=DONE, app=DONE, extra=DONE)
    assert plan(pod("OnFailure"), complete, 0) == [StopContainer("proxy", 30.0)]
    assert plan(pod("OnFailure"), replace(complete, containers={**complete.containers, "proxy": DONE}), 0) == []
    assert pod_phase(pod("Never"), replace(complete, containers={**complete.containers, "proxy": DONE})) == "Succeeded"


def test_deletion_stops_containers_then_sidecars() -> None:
    running = replace(state(init=DONE, proxy=STARTED, after=DONE, app=STARTED, extra=DONE), grace_seconds=5.0)
    assert plan(pod(), running, 0) == [StopContainer("app", 5.0)]
    assert plan(pod(), running.with_container("app", stopping=True), 0) == []
    without = running.with_container("app", phase=Phase.ENDED)
    assert plan(pod(), without, 0) == [StopContainer("proxy", 5.0)]
    assert plan(pod(), without.with_container("proxy", phase=Phase.ENDED), 0) == [Remove()]


def test_backoff() -> None:
    assert [backoff_seconds(count) for count in (0, 1, 2, 3, 4, 5, 6, 7, 20)] == [0, 0, 10, 20, 40, 80, 160, 300, 300]


@given(st.integers(), st.sampled_from(["Always", "OnFailure", "Never"]))
def test_every_pod_can_be_brought_to_its_end(seed: int, policy: str) -> None:
    """Carry out whatever is planned, with random outcomes, then delete: it ends in Remove, and no action repeats."""
    rng = random.Random(seed)
    now, current = 0.0, PodState()
    for step in range(200):
        if step == 40:
            stopping = {name: replace(one, stopping=False) for name, one in current.containers.items()}
            current = replace(current, grace_seconds=1.0, containers=stopping)
        for action in plan(pod(policy), current, now):
            match action:
                case MakeSandbox():
                    current = replace(current, address="a")
                case PrepareVolumes():
                    current = replace(current, volumes_ready=True)
                case StartContainer(name):
                    assert current.container(name).phase in (Phase.WAITING, Phase.ENDED)
                    current = current.with_container(
                        name, phase=Phase.RUNNING, started=True, ready=True, stopping=False
                    )
                case StopContainer(name, _):
                    current = current.with_container(name, phase=Phase.ENDED, ending=Ending(0), stopping=False)
                case WakeAt(at):
                    now = max(now, at)
                case Remove():
                    assert step >= 40
                    return
        for name, found in current.containers.items():
            if found.phase is Phase.RUNNING and rng.random() < 0.5:
                ending = Ending(rng.choice((0, 1)))
                due = now + backoff_seconds(found.failures + 1)
                current = current.with_container(
                    name, phase=Phase.ENDED, ending=ending, failures=found.failures + 1, due_at=due, started=False
                )
        pod_status(pod(policy), current, 0.0)
    raise AssertionError("it never ended")
