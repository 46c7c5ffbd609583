"""Reading and changing `status.conditions`, and times as Kubernetes writes them. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from kaiki.kube.resource import Object


def find_condition(obj: Object, kind: str) -> Object | None:
    """The condition of a type in `status.conditions`, or None."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return None


def is_true(obj: Object, kind: str) -> bool:
    """Whether the condition is there with status True."""
    condition = find_condition(obj, kind)
    return condition is not None and condition.get("status") == "True"


def set_condition(
    conditions: Iterable[Object], kind: str, status: str, reason: str, message: str, now: datetime, update: bool = False
) -> list[Object]:
    """The conditions with one set. Nothing changes when status and reason are the same already.

    `lastTransitionTime` moves only with the status. `update` writes `lastUpdateTime` too, as Deployments have it.
    """
    kept = [dict(condition) for condition in conditions]
    old = next((condition for condition in kept if condition.get("type") == kind), None)
    if old is not None and (old.get("status"), old.get("reason")) == (status, reason):
        old["message"] = message
        return kept
    same_status = old is not None and old.get("status") == status
    changed = old["lastTransitionTime"] if old is not None and same_status else to_text(now)
    new = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": changed}
    if update:
        new["lastUpdateTime"] = to_text(now)
    return [condition for condition in kept if condition.get("type") != kind] + [new]


def without_condition(conditions: Iterable[Object], kind: str) -> list[Object]:
    """The conditions but for one type."""
    return [dict(condition) for condition in conditions if condition.get("type") != kind]


def to_text(time: datetime) -> str:
    """RFC 3339 in whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_time(text: str | None, default: datetime) -> datetime:
    """The time of an RFC 3339 text."""
    return datetime.fromisoformat(text) if text else default
