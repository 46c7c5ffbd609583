"""Whose errors are judged by what: defaults, rules of the configuration, annotations."""

from __future__ import annotations

import pytest

from kaiki.graph.health import check_traffic, judge_traffic
from kaiki.graph.model import HealthStatus
from kaiki.graph.tolerances import DEFAULTS, Tolerances, read_annotation, read_rules

CONFIG = {
    "health_config": {
        "rate": [
            {
                "namespace": "shop",
                "kind": "workload|service",
                "name": "reviews.*",
                "tolerance": [
                    {"code": "5XX", "degraded": 5, "failure": 20, "protocol": "http", "direction": "inbound"}
                ],
            },
            {"namespace": "shop", "tolerance": [{"code": "404", "failure": 50}]},
        ]
    }
}


def test_the_first_rule_that_fits_is_in_force() -> None:
    rules, problems = read_rules(CONFIG)
    assert not problems
    known = Tolerances(rules)
    (found,) = known.of("workload", "shop", [("workload", "reviews-v1")])
    assert (found.degraded, found.failure, found.source) == (0.05, 0.2, "configuration")
    assert [one.code for one in known.of("app", "shop", [("app", "reviews")])] == ["404"]
    assert known.of("workload", "default", [("workload", "reviews-v1")]) == DEFAULTS


def test_an_annotation_goes_before_rules_and_holds_for_the_app() -> None:
    own = read_annotation("5XX,1,2,http,inbound; 4XX,30,50,http,.*")
    known = Tolerances(read_rules(CONFIG)[0], {("workload", "shop", "reviews-v1"): own})
    assert known.of("workload", "shop", [("workload", "reviews-v1")]) == own
    assert known.of("app", "shop", [("app", "reviews"), ("workload", "reviews-v1")]) == own


@pytest.mark.parametrize("text", ["", "5XX,1,2,http", "5XX,a,2,http,inbound", "(,1,2,http,inbound", "5XX,1,0,http,.*"])
def test_an_annotation_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_annotation(text)


def test_a_rule_that_cannot_be_read_is_left_out_and_said() -> None:
    config = {"health_config": {"rate": [{"namespace": "("}, {"tolerance": []}, *CONFIG["health_config"]["rate"]]}}
    rules, problems = read_rules(config)
    assert len(rules) == 2
    assert [one.split(":")[0] for one in problems] == ["health_config.rate[0]", "health_config.rate[1]"]


def test_configured_tolerances_judge_their_own_direction_and_protocol() -> None:
    own = read_annotation("5XX,10,20,http,inbound;-,0,5,http,.*")
    counts = [("http", "503", "-", 15.0), ("http", "0", "-", 1.0), ("grpc", "503", "-", 84.0)]
    reasons = judge_traffic("inbound", counts, own)
    assert [(one.pattern, one.status, one.value) for one in reasons] == [
        ("5XX", HealthStatus.DEGRADED, 0.15),
        ("-", HealthStatus.DEGRADED, 0.01),
    ]
    assert [one.pattern for one in judge_traffic("outbound", counts, own)] == ["-"]
    assert [one.pattern for one in judge_traffic("edge", counts, own)] == ["5XX", "-"]


def test_checks_tell_their_numbers_also_where_all_is_well() -> None:
    counts = {("http", "200", "-"): 9.0, ("http", "503", "UH"): 1.0}
    found = {check.name: check for check in check_traffic("inbound", counts)}
    check = found["http5xx"]
    assert (check.requests, check.errors, check.share, check.status) == (10, 1, 0.1, HealthStatus.FAILURE)
    assert [(one.code, one.flags, one.count) for one in check.outcomes] == [("503", "UH", 1)]
    assert found["http4xx"].status is HealthStatus.HEALTHY
    assert check_traffic("inbound", {})[0].status is HealthStatus.IDLE
