"""Which requests become entries of the journal, and how they are kept within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.admission.journal import entry_of
from kaiki.model import journal
from kaiki.model.journal import ChangeEntry, decode_entry, encode_entry, surplus

Object = dict[str, Any]


def request(operation: str, new: Object | None, old: Object | None = None, **more: Any) -> Object:
    kind = (new or old or {}).get("kind")
    about = {"namespace": "default", "name": "reviews", "kind": {"kind": kind}, "userInfo": {"username": "ada"}}
    return {"uid": "1", "operation": operation, "object": new, "oldObject": old, **about, **more}


def service(weight: int, **metadata: Any) -> Object:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "default", "uid": "u", "resourceVersion": str(weight), **metadata},
        "spec": {"hosts": ["reviews"], "http": [{"route": [{"weight": weight}]}]},
        "status": {"conditions": []},
    }


def deployment(image: str, revision: str = "1") -> Object:
    container = {"name": "app", "image": image, "env": [{"name": "PASSWORD", "value": "hidden"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "reviews", "annotations": {"deployment.kubernetes.io/revision": revision}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
    }


def test_an_update_holds_both_sides_and_the_author() -> None:
    entry = entry_of(request("UPDATE", service(20), service(10)))
    assert entry is not None
    assert (entry.author, entry.operation, entry.kind, entry.name) == ("ada", "update", "VirtualService", "reviews")
    assert entry.before is not None and entry.after is not None
    assert entry.before["spec"]["http"][0]["route"][0]["weight"] == 10
    assert "status" not in entry.after and "uid" not in entry.after["metadata"]


def test_creations_and_deletions_have_one_side() -> None:
    created, deleted = entry_of(request("CREATE", service(1))), entry_of(request("DELETE", None, service(1)))
    assert created is not None and created.before is None and created.after is not None
    assert deleted is not None and deleted.after is None and deleted.operation == "delete"


@pytest.mark.parametrize(
    "ignored",
    [
        request("UPDATE", service(1), service(1, resourceVersion="7")),
        request("UPDATE", service(2), service(1), dryRun=True),
        request("UPDATE", service(2), service(1), subResource="status"),
        request("CONNECT", service(2)),
        request("UPDATE", deployment("a:1", "2"), deployment("a:1")),
    ],
)
def test_what_is_no_change(ignored: Object) -> None:
    assert entry_of(ignored) is None


def test_a_rollout_tells_images_and_no_environment() -> None:
    entry = entry_of(request("UPDATE", deployment("a:2"), deployment("a:1")))
    assert entry is not None and entry.operation == "rollout" and entry.after is not None
    assert entry.after["spec"]["images"] == {"app": "a:2"}
    assert "hidden" not in encode_entry(entry)


def test_entries_survive_their_encoding() -> None:
    entry = ChangeEntry("1-a", 5.5, "ada", "create", "v1", "Kind", "ns", "name", None, {"spec": {"a": [1, "ü"]}})
    assert decode_entry("1-a", encode_entry(entry)) == entry
    assert decode_entry("1-a", "no JSON") is None
    assert decode_entry("1-a", '{"time": 1}') is None


def test_what_is_too_large_is_told_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST_ENTRY_BYTES", 20)
    entry = ChangeEntry("1-a", 5.5, "ada", "create", "v1", "Kind", "ns", "name", None, {"spec": {"a": "b" * 100}})
    found = decode_entry("1-a", encode_entry(entry))
    assert found is not None and found.omitted and found.after is None and found.name == "name"


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 3)
    monkeypatch.setattr(journal, "MOST_BYTES", 100)
    assert surplus({"a": 10, "b": 10, "c": 10}) == []
    assert surplus({"d": 10, "a": 10, "b": 10, "c": 10}) == ["a"]
    assert surplus({"a": 60, "b": 50, "c": 50}) == ["a"]
