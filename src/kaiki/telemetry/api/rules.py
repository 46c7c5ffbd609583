"""`/api/v1/rules` and `/api/v1/alerts`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from kaiki.telemetry.api.answers import success
from kaiki.telemetry.api.status import rfc3339
from kaiki.telemetry.errors import BadQueryError
from kaiki.telemetry.promql.evaluate import parse_selector
from kaiki.telemetry.rules.alerts import Alert
from kaiki.telemetry.rules.manager import GroupState, RuleState


class RuleRoutes:
    """Handlers over the rule manager's groups."""

    def __init__(self, groups: Callable[[], list[GroupState]] = list) -> None:
        self._groups = groups

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/rules", self._rules)
        router.add_get("/api/v1/alerts", self._alerts)

    async def _rules(self, request: web.Request) -> web.Response:
        given = request.query
        kind = given.get("type", "")
        if kind not in ("", "alert", "record"):
            raise BadQueryError(f'invalid parameter "type": {kind!r} is neither `alert` nor `record`')
        names, groups, files = (given.getall(f"{name}[]", []) for name in ("rule_name", "rule_group", "file"))
        tests = [[(m.name, m.predicate()) for m in parse_selector(text)] for text in given.getall("match[]", [])]
        with_alerts = given.get("exclude_alerts", "").lower() not in ("true", "1")
        shown = []
        for state in self._groups():
            if (groups and state.group.name not in groups) or (files and state.group.file not in files):
                continue
            rules = [
                _describe_rule(rule, with_alerts)
                for rule in state.rules
                if (not kind or (kind == "alert") == rule.rule.alerting)
                and (not names or rule.rule.name in names)
                and (not tests or any(_accepts(test, rule) for test in tests))
            ]
            if rules or not (kind or names or tests):
                shown.append(_describe_group(state, rules))
        return success({"groups": shown})

    async def _alerts(self, _: web.Request) -> web.Response:
        books = [rule.book for state in self._groups() for rule in state.rules if rule.book is not None]
        return success({"alerts": [_describe_alert(alert) for book in books for alert in book.active()]})


def _accepts(test: list[tuple[str, Callable[[str], bool]]], rule: RuleState) -> bool:
    labels = dict(rule.rule.labels)
    return all(accepts(labels.get(name, "")) for name, accepts in test)


def _describe_group(state: GroupState, rules: list[dict[str, object]]) -> dict[str, object]:
    return {
        "name": state.group.name,
        "file": state.group.file,
        "rules": rules,
        "interval": state.interval_ms / 1000,
        "limit": state.group.limit,
        "evaluationTime": state.seconds,
        "lastEvaluation": rfc3339(state.time_ms),
    }


def _describe_rule(state: RuleState, with_alerts: bool) -> dict[str, object]:
    rule, book = state.rule, state.book
    shared: dict[str, object] = {
        "name": rule.name,
        "query": rule.query,
        "labels": dict(rule.labels),
        "health": state.health,
        "evaluationTime": state.seconds,
        "lastEvaluation": rfc3339(state.time_ms),
        "type": "alerting" if rule.alerting else "recording",
    }
    if state.error:
        shared["lastError"] = state.error
    if book is None:
        return shared
    return shared | {
        "state": book.state,
        "duration": rule.for_ms / 1000,
        "keepFiringFor": rule.keep_firing_ms / 1000,
        "annotations": dict(rule.annotations),
        "alerts": [_describe_alert(alert) for alert in book.active()] if with_alerts else [],
    }


def _describe_alert(alert: Alert) -> dict[str, object]:
    described: dict[str, object] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state,
        "activeAt": rfc3339(alert.active_ms),
        "value": _scientific(alert.value),
    }
    if alert.kept_since_ms:
        described["keepFiringSince"] = rfc3339(alert.kept_since_ms)
    return described


def _scientific(value: float) -> str:
    """As Go's `e` format with the fewest digits: 1e+00, 2.5e-01."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    digits, _, exponent = f"{value:.17e}".partition("e")
    for places in range(18):
        text = f"{value:.{places}e}"
        if float(text) == value:
            return text
    return f"{digits}e{exponent}"
