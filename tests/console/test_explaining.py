"""Explaining requests: how the question is read, and what the page is told."""

from __future__ import annotations

import json
import re
from importlib import resources
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request
from envoy.config.route.v3 import route_components_pb2

from kaiki.console.documents import write_document
from kaiki.console.errors import BadRequest
from kaiki.console.explaining import ExplainedObject, _read_request, describe_outcome
from kaiki.console.step_lines import StepLines
from kaiki.console.step_texts import step_texts, tell_step
from kaiki.model.finding import ObjectRef
from kaiki.translate.simulation import Code, Outcome, Request, Share, Step, Verdict
from kaiki.translate.simulation.codes import PARAMETERS
from kaiki.translate.simulation.matching import Failed, conditions_of, failed_condition


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


def test_the_page_is_told_shares_objects_and_lines() -> None:
    source = ObjectRef("VirtualService", "default", "reviews")
    rule = Step("route", "canary", Code.ROUTE_TAKEN, {"conditions": "/*"}, source, "spec.http[1].match[0]")
    outcome = Outcome(Verdict.FORWARDED, (rule,), 0, (Share("a", 1), Share("b", 3)), passed_over=(rule,))
    http = [{"route": []}, {"match": [{"uri": {"prefix": "/"}}]}]
    obj = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "default", "uid": "not shown"},
        "spec": {"hosts": ["reviews"], "http": http},
    }
    told = describe_outcome("pod.default", outcome, StepLines({("VirtualService", "default", "reviews"): obj}))
    assert [share.percent for share in told.clusters] == [25, 75]
    assert told.steps[0].object == ExplainedObject("networking.istio.io/v1", "VirtualService", "default", "reviews")
    shown = write_document(obj).splitlines()
    assert shown[told.steps[0].line - 1].strip() == "- uri:"
    assert told.passed_over == told.steps
    assert describe_outcome("pod.default", outcome, StepLines({})).steps[0].line == 0


def test_the_first_condition_that_fails_is_named() -> None:
    match = route_components_pb2.RouteMatch(prefix="/a")
    match.headers.add(name="end-user").string_match.exact = "jason"
    assert conditions_of(match) == "/a*, end-user:"

    def failed(path: str, **headers: str) -> Failed | None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return failed_condition(match, Request("x", 80, path, headers=given))

    assert failed("/b") == (Code.ROUTE_WANTS_PATH, {"path": "/b"})
    assert failed("/a") == (Code.ROUTE_WANTS_HEADER, {"header": "end-user"})
    assert failed("/a", end_user="eve") == (Code.ROUTE_HEADER_DIFFERS, {"header": "end-user", "value": "eve"})
    assert failed("/a", end_user="jason") is None


def test_every_code_is_documented_and_has_a_text_with_its_parameters_in_both_languages() -> None:
    document = json.loads(resources.files("kaiki.console").joinpath("openapi.json").read_text())
    assert document["components"]["schemas"]["StepCode"]["enum"] == [str(code) for code in Code]
    assert set(PARAMETERS) <= set(Code)
    for language, texts in step_texts().items():
        for code in Code:
            gaps = re.findall(r"\{(\w+)\}", texts[code])
            assert sorted(gaps) == sorted(PARAMETERS.get(code, ())), (language, code)
        assert set(texts) == {str(code) for code in Code}
    assert set(step_texts()) == {"en", "ko"}


def test_steps_are_told_in_words() -> None:
    step = Step("filter", "fault", Code.FAULT_DELAYS, {"seconds": 2.5, "percent": 10.0})
    assert tell_step(step) == "waits 2.5 s in 10 % of cases"
    assert tell_step(step, "ko") == "10%의 요청을 2.5초 늦춥니다"
