"""The label that makes too many series is named."""

from kaiki.telemetry.cardinality import cardinality_finding

COUNTS = {
    "__name__": {"a_bucket": 900, "b": 100},
    "le": {str(number): 1 for number in range(5000)},
    "app": {"web": 500, "db": 500},
    "path": {f"/{number}": 1 for number in range(700)},
}


def test_all_is_well() -> None:
    found = cardinality_finding(COUNTS, 1000, 50_000, 0)
    assert (found["label"], found["values"], found["metric"], found["text"]) == ("path", 700, "a_bucket", "")
    assert cardinality_finding({}, 0, 50_000, 0)["text"] == ""


def test_what_is_wrong_is_said() -> None:
    assert "1000 of at most 1200 series. The label path has 700" in cardinality_finding(COUNTS, 1000, 1200, 0)["text"]
    assert "7 new series were refused" in cardinality_finding(COUNTS, 1000, 1000, 7)["text"]
    many = {**COUNTS, "path": {f"/{number}": 1 for number in range(1000)}}
    assert cardinality_finding(many, 1000, 50_000, 0)["text"].startswith("The label path has 1000 values")


def test_a_label_that_counts_pods_is_the_size_of_the_mesh() -> None:
    pods = {**COUNTS, "pod": {f"web-{number}": 1 for number in range(4000)}}
    found = cardinality_finding(pods, 40_000, 100_000, 0)
    assert (found["label"], found["state"]) == ("path", "")
    full = cardinality_finding(pods, 90_000, 100_000, 0)
    assert (full["label"], full["state"]) == ("pod", "nearlyFull")
