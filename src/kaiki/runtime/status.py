"""A pod's status as Kubernetes shows it, from its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kaiki.model.workload import REACHABLE_CONDITION
from kaiki.runtime.listening import REASON, explain
from kaiki.runtime.plan import (
    ContainerState,
    Ending,
    Phase,
    PodState,
    init_containers,
    is_complete,
    is_initialized,
    is_sidecar,
    main_containers,
    restart_policy,
    will_restart,
)
from kaiki.runtime.sandbox import GATEWAY

Object = Mapping[str, Any]
_OWN_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    REACHABLE_CONDITION,
)


def time_text(seconds: float) -> str:
    """Unix seconds as Kubernetes writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _terminated(ending: Ending) -> dict[str, Any]:
    found: dict[str, Any] = {"exitCode": ending.exit_code, "reason": ending.reason}
    if ending.signal:
        found["signal"] = ending.signal
    if ending.message:
        found["message"] = ending.message
    found["startedAt"] = time_text(ending.started_at)
    found["finishedAt"] = time_text(ending.finished_at)
    return {"terminated": found}


def _waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def _current(container: Object, found: ContainerState, policy: str, initialized: bool) -> dict[str, Any]:
    if found.phase is Phase.RUNNING:
        return {"running": {"startedAt": time_text(found.started_at)}}
    if found.phase is Phase.ENDED and found.ending:
        if will_restart(policy, found.ending) and found.failures > 1:
            return _waiting("CrashLoopBackOff", f"back-off restarting failed container {container['name']}")
        return _terminated(found.ending)
    reason = found.reason
    if reason == "ContainerCreating" and not initialized:
        reason = "PodInitializing"
    return _waiting(reason, found.message)


def _container_status(container: Object, found: ContainerState, policy: str, initialized: bool) -> dict[str, Any]:
    current = _current(container, found, policy, initialized)
    last = found.last
    if "waiting" in current and found.ending is not None:
        last = found.ending
    completed = bool(found.ending and found.ending.exit_code == 0 and found.phase is Phase.ENDED)
    status = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": container.get("image", ""),
        "restartCount": found.restart_count,
        "ready": found.ready or (policy != "Always" and completed),
        "started": found.started and found.phase is Phase.RUNNING,
        "state": current,
        "lastState": _terminated(last) if last else {},
    }
    if found.process_id:
        status["containerID"] = f"kaiki://{found.process_id}"
    return status


def _init_policy(container: Object, pod: Object) -> str:
    if is_sidecar(container):
        return "Always"
    return "Never" if restart_policy(pod) == "Never" else "OnFailure"


def is_ready(pod: Object, state: PodState) -> bool:
    """Whether every container and every sidecar is ready."""
    wanted = [*main_containers(pod), *(one for one in init_containers(pod) if is_sidecar(one))]
    return bool(wanted) and all(state.container(one["name"]).ready for one in wanted)


def pod_phase(pod: Object, state: PodState) -> str:
    """`Pending`, `Running`, `Succeeded` or `Failed`."""
    if state.failure is not None:
        return "Failed"
    if is_complete(pod, state):
        alive = [one for one in init_containers(pod) if state.container(one["name"]).phase is Phase.RUNNING]
        if alive:
            return "Running"
        endings = [state.container(one["name"]).ending for one in (*main_containers(pod), *_ordinary(pod))]
        return "Succeeded" if all(one is not None and one.exit_code == 0 for one in endings) else "Failed"
    begun = any(
        state.container(one["name"]).phase in (Phase.RUNNING, Phase.ENDED)
        or state.container(one["name"]).restart_count > 0
        for one in main_containers(pod)
    )
    return "Running" if begun and is_initialized(pod, state) else "Pending"


def _ordinary(pod: Object) -> list[Object]:
    return [one for one in init_containers(pod) if not is_sidecar(one)]


def _conditions(pod: Object, state: PodState, previous: Sequence[Object], now: str) -> list[dict[str, Any]]:
    phase = pod_phase(pod, state)
    ready = is_ready(pod, state) and state.grace_seconds is None and phase == "Running"
    not_ready = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
    unready = [
        one["name"]
        for one in (*(each for each in init_containers(pod) if is_sidecar(each)), *main_containers(pod))
        if not state.container(one["name"]).ready
    ]
    message = f"containers with unready status: [{' '.join(unready)}]" if unready else ""
    gates = {one["conditionType"] for one in (pod.get("spec") or {}).get("readinessGates") or ()}
    passed = {one["type"] for one in previous if one["type"] in gates and one["status"] == "True"}
    wanted: dict[str, tuple[bool, str, str]] = {
        "PodReadyToStartContainers": (bool(state.address), "", ""),
        "Initialized": (is_initialized(pod, state), "ContainersNotInitialized", ""),
        "Ready": (ready and passed == gates, not_ready if not ready else "ReadinessGatesNotReady", message),
        "ContainersReady": (ready, not_ready, message),
        "PodScheduled": (True, "", ""),
    }
    if state.hidden_ports:
        wanted[REACHABLE_CONDITION] = (False, REASON, explain(state.hidden_ports))
    before = {one["type"]: one for one in previous}
    conditions = [dict(one) for one in previous if one["type"] not in _OWN_CONDITIONS]
    for kind, (true, reason, why) in wanted.items():
        value = "True" if true else "False"
        old = before.get(kind) or {}
        since = old.get("lastTransitionTime") if old.get("status") == value else None
        condition = {"type": kind, "status": value, "lastTransitionTime": since or now}
        if not true:
            condition |= {name: text for name, text in (("reason", reason), ("message", why)) if text}
        conditions.append(condition)
    return conditions


def pod_status(pod: Object, state: PodState, now_seconds: float) -> dict[str, Any]:
    """The whole `status` of a pod. Times of conditions that did not change are taken from the pod's present status."""
    now = time_text(now_seconds)
    present = pod.get("status") or {}
    initialized = is_initialized(pod, state)
    policy = restart_policy(pod)
    status: dict[str, Any] = {
        "phase": pod_phase(pod, state),
        "conditions": _conditions(pod, state, present.get("conditions") or (), now),
        "hostIP": GATEWAY,
        "hostIPs": [{"ip": GATEWAY}],
        "startTime": present.get("startTime") or now,
        "qosClass": present.get("qosClass") or "BestEffort",
        "containerStatuses": [
            _container_status(one, state.container(one["name"]), policy, initialized) for one in main_containers(pod)
        ],
    }
    if init_containers(pod):
        status["initContainerStatuses"] = [
            _container_status(one, state.container(one["name"]), _init_policy(one, pod), True)
            for one in init_containers(pod)
        ]
    if state.address:
        status |= {"podIP": state.address, "podIPs": [{"ip": state.address}]}
    if state.failure:
        status |= {"reason": state.failure[0], "message": state.failure[1]}
    return status
