"""Findings appear on their objects, change nothing that others wrote, and vanish when they are gone."""

from datetime import UTC, datetime
from typing import Any

from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.sources.status import status_patch

NOW, LATER = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
REFERENCE = ObjectRef("VirtualService", "shop", "cart")
FINDING = Finding("KAI0101", Severity.ERROR, REFERENCE, "spec.hosts", "There is no host.", "Add one.")
OTHER = {"type": "Reconciled", "status": "True"}


def patched(obj: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    assert patch is not None
    status = {**obj.get("status", {}), **patch["status"]}
    return {**obj, "status": {name: value for name, value in status.items() if value is not None}}


def test_a_finding_is_written_once() -> None:
    obj: dict[str, Any] = {"status": {"conditions": [OTHER]}}
    found = patched(obj, status_patch(obj, [FINDING], NOW))
    condition = found["status"]["conditions"][1]
    assert condition["status"] == "False" and condition["message"] == str(FINDING)
    assert found["status"]["validationMessages"] == [
        {"type": {"code": "KAI0101", "name": "spec.hosts"}, "level": "ERROR"}
    ]
    assert status_patch(found, [FINDING], LATER) is None


def test_findings_vanish_and_the_conditions_of_others_stay() -> None:
    obj: dict[str, Any] = {"status": {"conditions": [OTHER]}}
    found = patched(obj, status_patch(obj, [FINDING], NOW))
    assert patched(found, status_patch(found, [], LATER)) == obj


def test_an_object_without_findings_and_status_is_left_alone() -> None:
    assert status_patch({}, [], NOW) is None
    assert status_patch({"status": {"conditions": [OTHER]}}, [], NOW) is None
