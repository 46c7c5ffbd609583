"""A logged request beside what today's configuration does with it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kaiki.console.access_log import LogEntry
from kaiki.console.comparing import compare, read_span, request_of
from kaiki.console.errors import BadRequest
from kaiki.console.explaining_logged import read_question
from kaiki.model.finding import ObjectRef
from kaiki.model.journal import ChangeEntry
from kaiki.translate.simulation import Code, Outcome, Share, Step, Verdict

V1, V2 = (f"outbound|9080|{subset}|reviews.default.svc.cluster.local" for subset in ("v1", "v2"))
RULE = Step(
    "route",
    "all",
    Code.ROUTE_TAKEN,
    {"conditions": "/*"},
    ObjectRef("VirtualService", "default", "reviews"),
    "spec.http[0]",
)
NOW = Outcome(Verdict.FORWARDED, (RULE,), 0, (Share(V1, 1, ("10.0.0.1:9080",)),), timeout_seconds=2.0, retries=2)
ENTRY = LogEntry(
    time=100.0,
    method="GET",
    path="/reviews/1",
    response_code=200,
    duration=30,
    upstream_service_time="21",
    authority="reviews:9080",
    upstream_host="10.0.0.1:9080",
    upstream_cluster=V1,
    downstream_local_address="10.96.0.9:9080",
    route_name="all",
)


def change(name: str, time: float, hosts: list[str], kind: str = "VirtualService") -> ChangeEntry:
    after = {"spec": {"hosts": hosts}}
    return ChangeEntry(f"{time}-{name}", time, "eve", "update", "networking.istio.io/v1", kind, "default", name, after)


def codes(entry: LogEntry, outcome: Outcome | None = NOW, *changes: ChangeEntry) -> list[str]:
    return [remark.code for remark in compare(entry, outcome, changes)]


def test_where_it_went_and_how_long_it_took() -> None:
    where, time, *rest = compare(ENTRY, NOW, ())
    assert where.code == "sentToSubset"
    assert where.parameters == {
        "host": "reviews.default.svc.cluster.local",
        "port": "9080",
        "subset": "v1",
        "server": "10.0.0.1:9080",
    }
    assert (time.code, time.parameters) == ("timeSplit", {"total": "30", "upstream": "21", "rest": "9"})
    assert [remark.code for remark in rest] == ["retriesUnknown", "sameNow"]
    assert codes(replace(ENTRY, upstream_cluster="inbound|9080||"), None) == ["receivedAt", "timeSplit"]


def test_a_change_since_that_sends_it_elsewhere_is_named() -> None:
    then = replace(ENTRY, upstream_cluster=V2)
    given = (
        change("reviews", 50, ["reviews"]),
        change("reviews", 150, ["reviews"]),
        change("other", 160, ["ratings"]),
        change("more", 170, ["reviews.default.svc.cluster.local"]),
    )
    found = compare(then, NOW, given)
    assert [(one.code, one.change and one.change.time) for one in found[-3:]] == [
        ("elsewhereNow", None),
        ("changedSince", 170),
        ("changedSince", 150),
    ]
    assert found[-3].parameters == {"then": f"{V2} (all)", "now": f"{V1} (all)"}
    assert codes(then)[-2:] == ["elsewhereNow", "noChangeKnown"]


def test_a_header_the_log_does_not_hold_is_no_change() -> None:
    jason = Step("route", "jason", Code.ROUTE_WANTS_HEADER, {"conditions": "/*, end-user:", "header": "end-user"})
    then = replace(ENTRY, upstream_cluster=V2, route_name="jason")
    found = compare(then, replace(NOW, passed_over=(jason,)), ())[-1]
    assert (found.code, found.parameters) == ("byCondition", {"route": "jason", "condition": "end-user:"})


@pytest.mark.parametrize(
    ("logged", "outcome", "expected"),
    [
        ({"response_flags": "NR", "response_code": 404, "upstream_cluster": ""}, NOW, "noChangeKnown"),
        ({"response_flags": "NR", "response_code": 404}, Outcome(Verdict.NO_ROUTE, (), 404), "sameNow"),
        ({"response_code": 418, "upstream_cluster": ""}, Outcome(Verdict.ANSWERED, (), 418), "sameNow"),
        ({"response_code": 403, "upstream_cluster": "", "response_code_details": "rbac_access_denied"}, NOW, "sameNow"),
        ({"response_code": 200}, Outcome(Verdict.ANSWERED, (), 418), "noChangeKnown"),
    ],
)
def test_ends_are_compared(logged: dict[str, object], outcome: Outcome, expected: str) -> None:
    assert codes(replace(ENTRY, **logged), outcome)[-1] == expected  # type: ignore[arg-type]


def test_timeouts_retries_and_missing_endpoints() -> None:
    assert "timeoutNow" in codes(replace(ENTRY, response_flags="UT"))
    assert "retriedAll" in codes(replace(ENTRY, response_flags="URX,UF"))
    assert "retried" in codes(replace(ENTRY, upstream_request_attempt_count="3"))
    assert "notRetried" in codes(replace(ENTRY, upstream_request_attempt_count="1"))
    found = {
        one.code: one.parameters for one in compare(replace(ENTRY, response_flags="UH", upstream_host=""), NOW, ())
    }
    assert found["endpointsNow"] == {"count": "1"} and "meantForSubset" in found


def test_the_request_is_read_back() -> None:
    asked = request_of(ENTRY)
    assert (asked.host, asked.port, asked.address, asked.path, asked.http) == (
        "reviews",
        9080,
        "10.96.0.9",
        "/reviews/1",
        True,
    )
    assert not request_of(replace(ENTRY, method="")).http


def test_a_span_is_read_as_a_line() -> None:
    tags = {
        "node_id": "sidecar~10.97.0.5~productpage-v1-abc.default~default.svc.cluster.local",
        "http.url": "http://reviews:9080/reviews/1?a=b",
        "http.method": "GET",
        "http.status_code": "503",
        "response_flags": "UO",
        "upstream_cluster": V1,
    }
    entry, place = read_span(tags, 5.0, 12)
    assert (place.namespace, place.pod) == ("default", "productpage-v1-abc")
    assert (entry.path, entry.authority, entry.response_code, entry.duration) == (
        "/reviews/1?a=b",
        "reviews:9080",
        503,
        12,
    )
    assert request_of(entry).port == 9080
    asked = read_question(json.dumps({"tags": tags, "time": 5.0, "duration": 12}).encode())
    assert asked.entry == entry


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"entry": {"time": 1}}',
        b'{"entry": {}}',
        b'{"tags": {"node_id": "x"}}',
        b'{"language": "xx"}',
    ],
)
def test_what_cannot_be_read_is_said(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_question(body)
