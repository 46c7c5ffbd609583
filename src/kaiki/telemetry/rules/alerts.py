"""The life of an alert: pending while its expression has held for less than `for`, firing, then inactive.

(nothing) ──▶ pending ── held `for` ──▶ firing ── gone, and `keep_firing_for` over ──▶ inactive ──▶ (nothing)
                 └── gone ──▶ (nothing)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kaiki.telemetry.errors import ExecutionError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.rules.definitions import Pairs, Rule
from kaiki.telemetry.rules.templates import Scope, expand

RESOLVED_KEPT_MS = 15 * 60_000
OUTAGE_TOLERANCE_MS = 3_600_000
FOR_GRACE_MS = 600_000
STATE, FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"


@dataclass(slots=True)
class Alert:
    """One alert of one rule, told apart by its labels. Times of 0 are not set."""

    labels: Pairs
    annotations: Pairs
    value: float
    active_ms: int
    state: str = "pending"
    fired_ms: int = 0
    resolved_ms: int = 0
    kept_since_ms: int = 0
    sent_ms: int = 0

    def series(self) -> list[tuple[Pairs, float]]:
        """What the store gets of a living alert."""
        state = (*self.labels, (NAME, STATE), ("alertstate", self.state))
        return [(state, 1.0), ((*self.labels, (NAME, FOR_STATE)), self.active_ms / 1000)]


@dataclass(slots=True)
class AlertBook:
    """All alerts of one rule."""

    rule: Rule
    alerts: dict[Pairs, Alert] = field(default_factory=dict)

    def update(self, rows: Iterable[tuple[dict[str, str], float]], now_ms: int) -> list[Alert]:
        """Takes the expression's result; gives the alerts that are pending or firing now.

        Raises ExecutionError when two results become the same alert.
        """
        seen = self._take(rows, now_ms)
        for labels, alert in list(self.alerts.items()):
            if labels in seen:
                alert.kept_since_ms = 0
            elif not self._keeps_firing(alert, now_ms):
                self._end(alert, now_ms)
                continue
            if alert.state == "pending" and now_ms - alert.active_ms >= self.rule.for_ms:
                alert.state, alert.fired_ms = "firing", now_ms
        return self.active()

    def active(self) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.state != "inactive"]

    @property
    def state(self) -> str:
        states = {alert.state for alert in self.alerts.values()}
        return "firing" if "firing" in states else "pending" if "pending" in states else "inactive"

    def restore(self, alert: Alert, since_ms: int, last_seen_ms: int, now_ms: int) -> None:
        """Goes on with what was known before a restart: time spent pending counts, the outage does not."""
        remaining = self.rule.for_ms - (last_seen_ms - since_ms)
        if remaining <= 0:
            alert.active_ms = since_ms
        elif remaining < FOR_GRACE_MS:
            alert.active_ms = min(now_ms + FOR_GRACE_MS - self.rule.for_ms, since_ms + (now_ms - last_seen_ms))
        else:
            alert.active_ms = since_ms + (now_ms - last_seen_ms)
        if alert.state == "pending" and now_ms - alert.active_ms >= self.rule.for_ms:
            alert.state, alert.fired_ms = "firing", now_ms

    def _take(self, rows: Iterable[tuple[dict[str, str], float]], now_ms: int) -> set[Pairs]:
        seen: set[Pairs] = set()
        for source, value in rows:
            scope = Scope(source, value)
            labels = {name: text for name, text in source.items() if name != NAME}
            labels |= {name: expand(text, scope) for name, text in self.rule.labels}
            labels["alertname"] = self.rule.name
            key = tuple(sorted((name, text) for name, text in labels.items() if text))
            if key in seen:
                raise ExecutionError("vector contains metrics with the same labelset after applying alert labels")
            seen.add(key)
            annotations = tuple((name, expand(text, scope)) for name, text in self.rule.annotations)
            known = self.alerts.get(key)
            if known is not None and known.state != "inactive":
                known.value, known.annotations = value, annotations
            else:
                self.alerts[key] = Alert(key, annotations, value, now_ms)
        return seen

    def _keeps_firing(self, alert: Alert, now_ms: int) -> bool:
        if alert.state != "firing" or not self.rule.keep_firing_ms:
            return False
        alert.kept_since_ms = alert.kept_since_ms or now_ms
        return now_ms - alert.kept_since_ms < self.rule.keep_firing_ms

    def _end(self, alert: Alert, now_ms: int) -> None:
        long_resolved = alert.resolved_ms and now_ms - alert.resolved_ms > RESOLVED_KEPT_MS
        if alert.state == "pending" or long_resolved:
            del self.alerts[alert.labels]
        elif alert.state != "inactive":
            alert.state, alert.resolved_ms = "inactive", now_ms
