"""Which endpoints come first, and which shares localities get."""

from __future__ import annotations

import pytest

from kaiki.model.locality import fits, locality_of
from kaiki.model.policy.destination import LocalityBalancing
from kaiki.model.service import Endpoint
from kaiki.translate.features.localities import Place, group


def _endpoint(locality: str, **labels: str) -> Endpoint:
    return Endpoint("10.0.0.1", 80, True, False, None, None, tuple(sorted(labels.items())), locality=locality)


def _order(place: Place, *endpoints: Endpoint) -> list[tuple[int, str, int]]:
    return [(part.priority, part.locality, part.weight) for part in group(endpoints, place)]


def test_the_nearest_come_first_and_priorities_have_no_gaps() -> None:
    here = Place("eu/north/a", LocalityBalancing())
    found = _order(here, *map(_endpoint, ("us/east", "eu/north/a", "eu/south", "eu/north/b")))
    assert found == [(0, "eu/north/a", 0), (1, "eu/north/b", 0), (2, "eu/south", 0), (3, "us/east", 0)]
    assert _order(here, _endpoint("us/east"), _endpoint("eu/south")) == [(0, "eu/south", 0), (1, "us/east", 0)]


def test_a_region_that_stands_in_comes_before_others() -> None:
    here = Place("eu/north", LocalityBalancing(failover=(("eu", "asia"),)))
    assert [part[1] for part in _order(here, *map(_endpoint, ("us/east", "asia/x", "eu/north")))] == [
        "eu/north",
        "asia/x",
        "us/east",
    ]


def test_shared_labels_in_their_order() -> None:
    settings = LocalityBalancing(failover_priority=("tier", "rack=a"))
    here = Place("", settings, (("tier", "gold"),))
    ends = (_endpoint("1", tier="gold"), _endpoint("2", rack="a"), _endpoint("3", tier="gold", rack="a"))
    assert [part[1] for part in _order(here, *ends)] == ["3", "1", "2"]


def test_shares_follow_the_most_special_pattern_and_the_number_of_endpoints() -> None:
    settings = LocalityBalancing(distribute=(("eu/*", (("eu/north", 60), ("eu/*", 30), ("us/*", 0))),))
    ends = map(_endpoint, ("eu/north", "eu/south", "eu/south", "eu/west", "us/east", "asia/x"))
    assert _order(Place("eu/north", settings), *ends) == [
        (0, "eu/north", 60),
        (0, "eu/south", 20),
        (0, "eu/west", 10),
    ]


@pytest.mark.parametrize(
    ("pattern", "locality", "expected"),
    [("*", "eu", True), ("eu", "eu/a/b", True), ("eu/*", "eu/a", True), ("eu/a", "eu/b", False), ("us/*", "eu", False)],
)
def test_patterns(pattern: str, locality: str, expected: bool) -> None:
    assert fits(pattern, locality) is expected


def test_labels_of_a_pod() -> None:
    labels = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "north"}
    assert locality_of(labels) == "eu/north"
    assert locality_of({**labels, "istio-locality": "us.east.rack"}) == "us/east/rack"
    assert locality_of({}) == ""
