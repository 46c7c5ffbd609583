"""Explaining requests: how the question is read, and what the page is told."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request
from envoy.config.route.v3 import route_components_pb2

from kaiki.console.errors import BadRequest
from kaiki.console.explaining import ExplainedObject, _read_request, describe_outcome
from kaiki.model.finding import ObjectRef
from kaiki.translate.simulation import Outcome, Request, Share, Step, Verdict
from kaiki.translate.simulation.matching import failed_condition


def read(url: str, method: str, headers: list[str]) -> Request:
    """The request a query of the page stands for."""
    query = urlencode([("url", url), ("method", method), *(("header", header) for header in headers)])
    return _read_request(make_mocked_request("GET", f"/api/explain?{query}"))


def test_a_url_and_headers_are_a_request() -> None:
    asked = read("http://10.0.0.1:9080/reviews?a=b", "POST", ["End-User: jason\nHost: reviews", "", "x:1"])
    assert (asked.host, asked.port, asked.path, asked.method) == ("reviews", 9080, "/reviews?a=b", "POST")
    assert asked.headers == {"end-user": "jason", "x": "1"}
    assert (read("tls://db:443", "GET", []).server_name, read("tcp://db:1", "GET", []).http) == (
        "db",
        False,
    )


@pytest.mark.parametrize(
    ("url", "header"), [("", ""), ("ftp://a", ""), ("http://a:99999", ""), ("http://a", "none"), ("http://a", ": x")]
)
def test_what_cannot_be_asked_is_said(url: str, header: str) -> None:
    with pytest.raises(BadRequest):
        read(url, "GET", [header])


def test_the_page_is_told_shares_and_objects() -> None:
    rule = Step("route", "canary", "prefix /", ObjectRef("VirtualService", "default", "reviews"), "spec.http[1]")
    outcome = Outcome(Verdict.FORWARDED, (rule,), 0, (Share("a", 1), Share("b", 3)), passed_over=(rule,))
    told = describe_outcome("pod.default", outcome)
    assert [share.percent for share in told.clusters] == [25, 75]
    assert told.steps[0].object == ExplainedObject("networking.istio.io/v1", "VirtualService", "default", "reviews")
    assert told.passed_over == told.steps


def test_the_first_condition_that_fails_is_named() -> None:
    match = route_components_pb2.RouteMatch(prefix="/a")
    match.headers.add(name="end-user").string_match.exact = "jason"
    assert failed_condition(match, Request("x", 80, "/b")) == "the path is /b"
    assert failed_condition(match, Request("x", 80, "/a")) == "header end-user is missing"
    assert failed_condition(match, Request("x", 80, "/a", headers={"end-user": "eve"})) == "header end-user is 'eve'"
    assert failed_condition(match, Request("x", 80, "/a", headers={"end-user": "jason"})) == ""
