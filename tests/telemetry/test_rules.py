"""Recording and alerting rules: files, templates, the life of an alert, the API, an Alertmanager, restarts."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from kaiki.telemetry.configuration import read_configuration
from kaiki.telemetry.errors import RuleError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant
from kaiki.telemetry.promql.values import Vector
from kaiki.telemetry.rules.definitions import read_rule_file
from kaiki.telemetry.rules.manager import RuleManager
from kaiki.telemetry.rules.templates import Scope, expand
from kaiki.telemetry.server import MetricsSettings, running
from kaiki.telemetry.store.series import SeriesStore

from .real_prometheus import ask, find_tool, running_prometheus

START_MS = 1_700_000_000_000
RULES = """
groups:
- name: mesh
  interval: 10s
  rules:
  - record: app:errors:sum
    expr: sum by (app) (errors)
    labels: {team: web}
  - alert: ManyErrors
    expr: app:errors:sum > 5
    for: 20s
    keep_firing_for: 15s
    labels: {severity: page, of: "{{ $labels.app }}"}
    annotations:
      summary: '{{ $labels.app }} has {{ $value | humanize }} errors ({{ printf "%.1f" $value }})'
"""


class Bench:
    """A store with one gauge, and a manager whose clock is the test's."""

    def __init__(self, path: Path) -> None:
        self.store = SeriesStore(path)
        self.told: list[tuple[str, str]] = []
        self.now = START_MS
        self.manager = RuleManager(self.store, QuerySettings(), lambda: None, self._notify, clock_ms=lambda: self.now)
        (self.group,) = read_rule_file(RULES, "mesh.yml")
        self.state = self.manager._new_state(self.group)

    def _notify(self, rule: Any, alerts: Any, now_ms: int, interval_ms: int) -> None:
        self.told += [(alert.state, dict(alert.labels)["app"]) for alert in alerts]

    async def step(self, errors: float | None, seconds: int = 10) -> list[tuple[str, str]]:
        """Sets the gauge, evaluates once, and gives the states of ALERTS."""
        self.now += seconds * 1000
        made = self.store.series_id([(NAME, "errors"), ("app", "shop")])
        if errors is not None:
            self.store.append(self.now, np.array([made], np.int32), np.array([errors]))
        await self.manager.evaluate(self.state, self.now)
        return [(one["alertstate"], one["of"]) for one in self.ask("ALERTS")]

    def ask(self, query: str) -> list[dict[str, str]]:
        value = query_instant(self.store, query, self.now, QuerySettings()).value
        assert isinstance(value, Vector)
        return [dict(labels) for labels in value.labels]


async def test_an_alert_lives(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with bench.manager:
        assert await bench.step(1) == []
        assert bench.ask("app:errors:sum") == [{"app": "shop", "team": "web", NAME: "app:errors:sum"}]
        assert await bench.step(9) == [("pending", "shop")]
        assert await bench.step(8) == [("pending", "shop")]
        assert await bench.step(1234) == [("firing", "shop")]
        (alert,) = bench.state.rules[1].book.alerts.values()  # type: ignore[union-attr]
        assert dict(alert.annotations) == {"summary": "shop has 1.234k errors (1234.0)"}
        assert dict(alert.labels)["alertname"] == "ManyErrors"
        assert await bench.step(1) == [("firing", "shop")], "kept firing"
        assert await bench.step(1) == [("firing", "shop")]
        assert await bench.step(1) == [], "resolved: the series has ended"
        assert bench.told[-1] == ("inactive", "shop")
        assert await bench.step(9) == [("pending", "shop")]
        assert await bench.step(1) == []
    bench.store.close()


async def test_a_pending_alert_survives_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with bench.manager:
        await bench.step(9)
        assert await bench.step(9) == [("pending", "shop")]
    bench.store.close()
    again = Bench(tmp_path)
    again.now = bench.now
    async with again.manager:
        # Pending for 10 s before; the outage of 60 s does not count, but one more interval does.
        assert await again.step(9, seconds=60) in ([("pending", "shop")], [("firing", "shop")])
        assert await again.step(9) == [("firing", "shop")]
    again.store.close()


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ $value }}", "0.25"),
        ("{{ .Value }} of {{ .Labels.app }}", "0.25 of shop"),
        ("{{ $value | humanizePercentage }}", "25%"),
        ("{{ humanizeDuration 93784 }}", "1d 2h 3m 4s"),
        ("{{ 0.0021 | humanizeDuration }}", "2.1ms"),
        ("{{ 1234567 | humanize }}", "1.235M"),
        ("{{ 0.00012 | humanize }}", "120u"),
        ("{{ 2048 | humanize1024 }}", "2ki"),
        ("{{ 1700000000 | humanizeTimestamp }}", "2023-11-14 22:13:20 +0000 UTC"),
        ('{{ index $labels "app" | toUpper }}', "SHOP"),
        ('{{ printf "%s: %.3f" .Labels.app $value }}', "shop: 0.250"),
        ('{{ reReplaceAll "s(.)op" "x$1" $labels.app }}', "xh"),
        ("{{ $labels.none }}", ""),
        ("a  {{- $value -}}  b", "a0.25b"),
        ("{{/* nothing */}}x", "x"),
        ("{{ ($labels.app | title) }}", "Shop"),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert expand(template, Scope({"app": "shop"}, 0.25)) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("groups: [{name: a, rules: [{alert: x, record: y, expr: up}]}]", "exactly one of"),
        ("groups: [{name: a, rules: [{alert: x}]}]", "`expr` is missing"),
        ("groups: [{name: a, rules: [{alert: x, expr: sum(}]}]", "invalid parameter"),
        ("groups: [{name: a, rules: [{record: 'a b', expr: up}]}]", "not a metric name"),
        ("groups: [{name: a, rules: [{record: x, expr: up, for: 1m}]}]", "belong to alerts"),
        ("groups: [{name: a, rules: [{record: x, expr: 'up[5m]'}]}]", "is a range"),
        ("groups: [{name: a, rules: [{alert: x, expr: up, unless: 1}]}]", "unknown field 'unless'"),
        ("groups: [{name: a, rules: [{alert: x, expr: up, for: soon}]}]", "duration"),
        ("groups: [{name: a, rules: []}, {name: a, rules: []}]", "there twice"),
        ("groups: [{rules: []}]", "no name"),
        ("groups: [{name: a, rules: [{alert: x, expr: up, labels: {a: '{{ if .Value }}x{{ end }}'}}]}]", "'if'"),
        ("groups: [{name: a, rules: [{alert: x, expr: up, annotations: {a: '{{ $value'}}]}]", "without"),
        ("- a", "expected a mapping"),
    ],
)
def test_wrong_rule_files_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint):
        read_rule_file(text, "file.yml")


def test_promtool_accepts_what_we_accept(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    subprocess.run([find_tool("promtool"), "check", "rules", str(tmp_path / "rules.yml")], check=True)


def test_the_configuration_says_what_has_no_effect() -> None:
    text = """
global: {scrape_interval: 15s, evaluation_interval: 5s}
scrape_configs: []
alerting: {alertmanagers: [{scheme: https, path_prefix: /am, static_configs: [{targets: ["a:1", "b:2"]}]}]}
remote_write: [{url: "http://far/api/v1/write", headers: {X-Scope: a}, queue_config: {capacity: 5}}]
"""
    made = read_configuration({"prometheus.yml": text, "rules.yml": RULES})
    assert made.unused == ("global.scrape_interval", "scrape_configs")
    assert made.evaluation_interval_ms == 5000
    assert made.alertmanagers == ("https://a:1/am", "https://b:2/am")
    assert (made.remote_writes[0].capacity, made.remote_writes[0].headers) == (5, (("X-Scope", "a"),))
    assert [group.name for group in made.groups] == ["mesh"]
    with pytest.raises(RuleError, match="basic_auth"):
        read_configuration({"prometheus.yml": "remote_write: [{url: 'http://a', basic_auth: {}}]"})


class Alertmanager:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.alerts += await request.json()
        return web.Response()


@pytest.fixture
async def alertmanager() -> AsyncIterator[Alertmanager]:
    made = Alertmanager()
    application = web.Application()
    application.router.add_post("/prefix/api/v2/alerts", made.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/prefix"
    yield made
    await runner.cleanup()


async def test_the_process_evaluates_and_tells(tmp_path: Path, alertmanager: Alertmanager) -> None:
    rules = """
groups:
- name: always
  interval: 100ms
  rules:
  - {record: one, expr: vector(1)}
  - {alert: Always, expr: one == 1, labels: {severity: low}, annotations: {text: "is {{ $value }}"}}
  - alert: Broken
    expr: one + on () (vector(1) or label_replace(vector(2), "a", "b", "", ""))
"""
    settings = MetricsSettings(
        data_path=tmp_path,
        listen=("127.0.0.1", 0),
        collector_listen=None,
        files={"rules.yml": rules},
        alertmanagers=(alertmanager.url,),
    )
    async with running(settings) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as session:
        for _ in range(600):
            async with session.get("/api/v1/rules") as answer:
                (group,) = (await answer.json())["data"]["groups"]
            if alertmanager.alerts and group["rules"][2]["health"] == "err":
                break
            await asyncio.sleep(0.05)
        assert [rule["type"] for rule in group["rules"]] == ["recording", "alerting", "alerting"]
        assert [rule["health"] for rule in group["rules"]] == ["ok", "ok", "err"]
        assert "many-to-many" in group["rules"][2]["lastError"]
        assert group["rules"][1]["state"] == "firing"
        async with session.get("/api/v1/alerts") as answer:
            (alert,) = (await answer.json())["data"]["alerts"]
        assert alert["labels"] == {"alertname": "Always", "severity": "low"}
        assert (alert["state"], alert["value"]) == ("firing", "1e+00")
        async with session.get("/api/v1/rules?type=alert&rule_name[]=Always&exclude_alerts=true") as answer:
            (group,) = (await answer.json())["data"]["groups"]
        assert [(rule["name"], rule["alerts"]) for rule in group["rules"]] == [("Always", [])]
        async with session.get("/api/v1/alertmanagers") as answer:
            active = (await answer.json())["data"]["activeAlertmanagers"]
        assert active == [{"url": f"{alertmanager.url}/api/v2/alerts"}]
        async with session.get("/metrics") as answer:
            text = await answer.text()
        assert 'prometheus_rule_group_rules{rule_group="rules.yml;always"} 3' in text
        assert "kaiki_rules_failing 1" in text
        assert "prometheus_config_last_reload_successful 1" in text
    told = alertmanager.alerts[0]
    assert told["labels"] == {"alertname": "Always", "severity": "low"}
    assert told["annotations"] == {"text": "is 1"}
    assert told["startsAt"] < told["endsAt"]
    assert "g0.expr=one" in told["generatorURL"]


SHARED_RULES = """
groups:
- name: shared
  interval: 200ms
  rules:
  - record: app:load:sum
    expr: vector(3) * 2
    labels: {team: web}
  - alert: Loaded
    expr: app:load:sum > 5
    labels: {severity: page, of: "{{ $labels.team }}"}
    annotations:
      all: >-
        {{ $value }} {{ $value | humanize }} {{ humanize1024 5000.0 }} {{ humanizeDuration 3700.5 }}
        {{ humanizePercentage 0.1234 }} {{ printf "%.2f|%s|%v" $value "a" $value }} {{ "ab cd" | title }}
        {{ toUpper "x" }} {{ stripPort "h:80" }} {{ reReplaceAll "(a)b" "$1-" "abab" }} {{ .Value | humanizeTimestamp }}
  - alert: Waiting
    expr: app:load:sum == 6
    for: 1h
  - alert: Quiet
    expr: app:load:sum > 100
"""


async def test_rules_and_alerts_are_as_in_prometheus(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "rules.yml").write_text(SHARED_RULES)
    settings = MetricsSettings(
        data_path=tmp_path / "ours", listen=("127.0.0.1", 0), collector_listen=None, files={"rules.yml": SHARED_RULES}
    )
    configuration = "global: {evaluation_interval: 200ms}\nrule_files: [rules.yml]\n"

    def wait_for_theirs() -> tuple[Any, Any]:
        with running_prometheus(tmp_path / "real", configuration) as url:
            for _ in range(300):
                alerts = ask(url, "/api/v1/alerts")["data"]["alerts"]
                if len(alerts) == 2:
                    break
                time.sleep(0.1)
            return _timeless(ask(url, "/api/v1/rules")["data"]["groups"]), _timeless(alerts)

    groups, alerts = await asyncio.to_thread(wait_for_theirs)
    async with running(settings) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as session:
        for _ in range(300):
            async with session.get("/api/v1/alerts") as answer:
                found = (await answer.json())["data"]["alerts"]
            if len(found) == 2:
                break
            await asyncio.sleep(0.05)
        async with session.get("/api/v1/rules") as answer:
            mine = (await answer.json())["data"]["groups"]
    assert _timeless(found) == alerts
    assert _timeless(mine) == groups


def _timeless(document: Any) -> Any:
    """Without what depends on the moment, the place, or the spelling of a query."""
    varying = {"keepFiringFor", "lastEvaluation", "evaluationTime", "activeAt", "file", "query"}
    if isinstance(document, list):
        return [_timeless(entry) for entry in document]
    if isinstance(document, dict):
        return {key: _timeless(value) for key, value in document.items() if key not in varying}
    return document
