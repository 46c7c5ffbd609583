"""Reading objects: what is said about those that are wrong, and that the right ones are silent."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.model.finding import Finding, Severity
from kaiki.resources.istio.common import seconds
from kaiki.resources.istio.parse import Parsed, expression_error, parse


def _object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _findings(kind: str, spec: dict[str, Any]) -> tuple[Finding, ...]:
    parsed = parse(_object(kind, spec))
    return parsed.findings if isinstance(parsed, Parsed) else parsed


@pytest.mark.parametrize(
    ("text", "expected"), [("2s", 2.0), ("100ms", 0.1), ("1h30m", 5400.0), ("1.5s", 1.5), ("0s", 0.0), ("10us", 1e-5)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


def test_a_wrong_type_names_the_field() -> None:
    (finding,) = _findings("VirtualService", {"hosts": ["a"], "http": [{"route": "reviews"}]})
    assert finding.severity is Severity.ERROR
    assert (finding.code, finding.path) == ("KAI0101", "spec.http[0].route")


def test_a_wrong_duration_names_the_field() -> None:
    (finding,) = _findings("DestinationRule", {"host": "a", "trafficPolicy": {"outlierDetection": {"interval": "5"}}})
    assert finding.path == "spec.trafficPolicy.outlierDetection.interval"


def test_two_of_one() -> None:
    (finding,) = _findings(
        "VirtualService", {"hosts": ["a"], "http": [{"match": [{"uri": {"exact": "", "regex": ""}}]}]}
    )
    assert finding.code == "KAI0102"
    assert finding.path == "spec.http[0].match[0].uri"
    assert "exact, regex" in finding.message


def test_an_expression_that_does_not_compile() -> None:
    (finding,) = _findings("VirtualService", {"hosts": ["a"], "http": [{"match": [{"uri": {"regex": "(a"}}]}]})
    assert finding.code == "KAI0104"
    assert expression_error("a(b)") == ""


def test_a_field_that_is_not_in_force_is_named() -> None:
    server = {
        "port": {"number": 9, "name": "tcp", "protocol": "TCP"},
        "hosts": ["*"],
        "defaultEndpoint": "127.0.0.1:9",
    }
    (finding,) = _findings("Gateway", {"servers": [server]})
    assert finding.severity is Severity.WARNING
    assert finding.message == "unsupported: defaultEndpoint is accepted but not in force."
    assert finding.path == "spec.servers[0].defaultEndpoint"
    assert finding.hint


def test_unknown_fields_are_the_api_servers_to_refuse() -> None:
    assert _findings("VirtualService", {"hosts": ["a"], "nonsense": 1}) == ()


def test_an_object_without_spec_can_be_read() -> None:
    assert isinstance(parse({"kind": "Gateway", "metadata": {"name": "x"}}), Parsed)
