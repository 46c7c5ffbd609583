"""The columns of pods: the row everybody reads first, and the most intricate."""

from __future__ import annotations

from typing import Any

from kaiki.apiserver.durations import since

Object = dict[str, Any]
NONE = "<none>"


def pod_cells(value: Object) -> list[Any]:
    """READY counts sidecars too; STATUS is the reason that matters most."""
    spec, status = (value.get("spec") or {}), (value.get("status") or {})
    sidecars = {each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"}
    started = {each["name"]: each for each in status.get("containerStatuses") or ()}
    started |= {each["name"]: each for each in status.get("initContainerStatuses") or () if each["name"] in sidecars}
    total = len(spec.get("containers") or ()) + len(sidecars)
    ready = sum(1 for each in started.values() if each.get("ready"))
    restarts = sum(each.get("restartCount", 0) for each in started.values())
    ended = [(each.get("lastState") or {}).get("terminated", {}).get("finishedAt") for each in started.values()]
    last = max((each for each in ended if each), default="")
    shown = f"{restarts} ({since(last)} ago)" if restarts and last else str(restarts)
    gates = spec.get("readinessGates") or ()
    return [
        str(value["metadata"]["name"]),
        f"{ready}/{total}",
        _pod_status(value),
        shown,
        since(value["metadata"].get("creationTimestamp") or ""),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(gates, status) if gates else NONE,
    ]


def _gates(gates: list[Object], status: Object) -> str:
    true = {each["type"] for each in status.get("conditions") or () if each.get("status") == "True"}
    return f"{sum(1 for each in gates if each.get('conditionType') in true)}/{len(gates)}"


def _pod_status(value: Object) -> str:
    """The STATUS column: kubectl's users read CrashLoopBackOff, Init:0/1, Completed, Terminating… here."""
    status = value.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    initializing = _initializing(value)
    reason = initializing or _container_reason(value, reason)
    if "deletionTimestamp" in value["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _initializing(value: Object) -> str:
    containers = {each["name"]: each for each in (value.get("spec") or {}).get("initContainers") or ()}
    for at, each in enumerate((value.get("status") or {}).get("initContainerStatuses") or ()):
        state = each.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended and ended.get("exitCode") == 0:
            continue
        if containers.get(each["name"], {}).get("restartPolicy") == "Always" and each.get("started"):
            continue
        if ended:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        if waiting and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{at}/{len(containers)}"
    return ""


def _container_reason(value: Object, reason: str) -> str:
    running = False
    for each in reversed((value.get("status") or {}).get("containerStatuses") or ()):
        state = each.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended:
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
        elif each.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        return "Running"
    return reason
