"""Job → Pods that run to their end: how many at once, how often again, when it is over. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from kaiki.controllers.action import Action, Create, Delete
from kaiki.controllers.conditions import find_condition, is_true, set_condition, to_text, to_time
from kaiki.controllers.pod_set import Step
from kaiki.controllers.replica_set import active_pods, build_pod
from kaiki.kube.resource import Object

BACKOFF_LIMIT = 6
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 360.0


def plan_job(job: Object, pods: Sequence[Object], now: datetime) -> Step:
    """One step of a Job. Finished ones are deleted after `ttlSecondsAfterFinished`, when that is set."""
    if finished := finished_condition(job):
        return _clean_up(job, finished, now)
    spec = job["spec"]
    active, counts = active_pods(pods), _count(pods)
    verdict = _verdict(job, counts, len(active), now)
    if verdict is not None or spec.get("suspend"):
        status = _status(job, counts, 0 if verdict else len(active), now, verdict)
        return Step(tuple(Delete(pod) for pod in active), status)
    wait_seconds = _retry_seconds(pods, counts["failed"], now)
    missing = max(0, _wanted(spec, counts["succeeded"]) - len(active))
    creations: tuple[Action, ...] = () if wait_seconds else tuple(Create(_pod(job)) for _ in range(missing))
    again_seconds = wait_seconds or _deadline_seconds(job, now)
    return Step(creations, _status(job, counts, len(active), now, None), again_seconds)


def finished_condition(job: Object) -> Object | None:
    """The condition that says that the Job is over, or None."""
    for kind in ("Complete", "Failed"):
        if is_true(job, kind):
            return find_condition(job, kind)
    return None


def _count(pods: Sequence[Object]) -> dict[str, int]:
    phases = [(pod.get("status") or {}).get("phase") for pod in pods]
    ready = sum(1 for pod in active_pods(pods) if is_true(pod, "Ready"))
    return {"succeeded": phases.count("Succeeded"), "failed": phases.count("Failed"), "ready": ready}


def _wanted(spec: Object, succeeded: int) -> int:
    """Without `completions` one success is enough: then no new pods are started."""
    parallelism = 1 if spec.get("parallelism") is None else int(spec["parallelism"])
    completions = spec.get("completions")
    if completions is None:
        return 0 if succeeded else parallelism
    return min(parallelism, int(completions) - succeeded)


def _verdict(job: Object, counts: dict[str, int], active: int, now: datetime) -> tuple[str, str, str] | None:
    """(condition, reason, message) once the Job is over."""
    spec = job["spec"]
    completions, limit = spec.get("completions"), spec.get("backoffLimit")
    succeeded = counts["succeeded"]
    if (completions is None and succeeded and not active) or (completions is not None and succeeded >= completions):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if counts["failed"] > (BACKOFF_LIMIT if limit is None else int(limit)):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if _deadline_seconds(job, now) == 0:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _deadline_seconds(job: Object, now: datetime) -> float | None:
    """Seconds left of `activeDeadlineSeconds`; None without one."""
    limit = job["spec"].get("activeDeadlineSeconds")
    if limit is None:
        return None
    started = to_time((job.get("status") or {}).get("startTime"), now)
    return max(0.0, (started + timedelta(seconds=int(limit)) - now).total_seconds())


def _retry_seconds(pods: Sequence[Object], failed: int, now: datetime) -> float | None:
    """How long to wait after failures: doubles with each, counted from the last pod's start."""
    if not failed:
        return None
    started = max(to_time(pod["metadata"].get("creationTimestamp"), now) for pod in pods)
    pause_seconds = min(FIRST_RETRY_SECONDS * 2.0 ** (failed - 1), LAST_RETRY_SECONDS)
    left = pause_seconds - (now - started).total_seconds()
    return left if left > 0 else None


def _status(
    job: Object, counts: dict[str, int], active: int, now: datetime, verdict: tuple[str, str, str] | None
) -> Object:
    old = job.get("status") or {}
    status: Object = {**counts, "active": active}
    status["startTime"] = old.get("startTime") or to_text(now)
    if verdict is None:
        return status
    kind, reason, message = verdict
    status["conditions"] = set_condition(old.get("conditions") or (), kind, "True", reason, message, now)
    if kind == "Complete":
        status["completionTime"] = to_text(now)
    return status | {"ready": 0}


def _clean_up(job: Object, finished: Object, now: datetime) -> Step:
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime is None:
        return Step((), {})
    ended = to_time(finished.get("lastTransitionTime"), now)
    left = (ended + timedelta(seconds=int(lifetime)) - now).total_seconds()
    return Step((), {}, left) if left > 0 else Step((Delete(job, "Background"),), {})


def _pod(job: Object) -> Object:
    pod = build_pod(job)
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    ours = {
        "job-name": name,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
    }
    pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **ours}
    if not pod["spec"].get("restartPolicy"):
        pod["spec"] = {**pod["spec"], "restartPolicy": "Never"}
    return pod
