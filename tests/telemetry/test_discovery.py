"""Targets follow the pods."""

from typing import Any

from kaiki.kube.cache import CacheEvent
from kaiki.telemetry.scrape.discovery import _follow, _trim


class Recorder:
    """Stands where the scraper does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def set_target(self, target: Any) -> None:
        self.calls.append(("set", target.key))

    def remove_target(self, key: str) -> None:
        self.calls.append(("remove", key))


def _pod(uid: str, scrape: str = "true") -> dict[str, Any]:
    pod: dict[str, Any] = {
        "metadata": {
            "name": "a",
            "namespace": "n",
            "uid": uid,
            "annotations": {"prometheus.io/scrape": scrape, "other": "x"},
            "managedFields": [1],
        },
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": []},
        "status": {"podIP": "10.0.0.1", "phase": "Running", "conditions": []},
    }
    _trim(pod)
    return pod


def _told(old: Any, new: Any) -> list[tuple[str, str]]:
    recorder = Recorder()
    kind: Any = "added" if old is None else "deleted" if new is None else "updated"
    _follow(CacheEvent(kind, old, new), recorder)  # type: ignore[arg-type]
    return recorder.calls


def test_targets_follow_pods() -> None:
    assert _told(None, _pod("1")) == [("set", "1")]
    assert _told(_pod("1"), _pod("1")) == [("set", "1")]
    assert _told(_pod("1"), _pod("2")) == [("remove", "1"), ("set", "2")]
    assert _told(_pod("1"), _pod("1", "false")) == [("remove", "1")]
    assert _told(_pod("1"), None) == [("remove", "1")]
    assert _told(None, _pod("1", "false")) == []


def test_what_is_not_read_is_not_kept() -> None:
    pod = _pod("1")
    assert pod["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert "managedFields" not in pod["metadata"]
    assert pod["spec"] == {"containers": [{"ports": []}]}
    assert pod["status"] == {"podIP": "10.0.0.1", "phase": "Running"}
