"""The text format, as Envoy and others write it."""

import math

import pytest

from kaiki.telemetry.errors import ExpositionError
from kaiki.telemetry.exposition import Declarations, parse_exposition, parse_sample, render_series


def test_reads_labels_with_escapes() -> None:
    sample = parse_sample(r'calls_total{path="C:\\dir\"x\"",note="a\nb,}",} 12.5')
    assert sample.name == "calls_total"
    assert dict(sample.labels) == {"path": 'C:\\dir"x"', "note": "a\nb,}"}
    assert sample.value == 12.5
    assert sample.time_ms is None


def test_reads_special_numbers_and_times() -> None:
    text = "a NaN\nb{} +Inf 1700000000123\n\n# a comment\nc -Inf\nd 1.5e-07\n"
    samples = {sample.name: sample for sample in parse_exposition(text)}
    assert math.isnan(samples["a"].value)
    assert samples["b"].value == math.inf
    assert samples["b"].time_ms == 1_700_000_000_123
    assert samples["c"].value == -math.inf
    assert samples["d"].value == 1.5e-7


@pytest.mark.parametrize("written", ["wasmcustom_istio_requests_total", "envoy_wasmcustom_istio_requests_total"])
def test_strips_the_prefix_of_custom_statistics(written: str) -> None:
    assert parse_sample(written + '{reporter="source"} 3').name == "istio_requests_total"


@pytest.mark.parametrize("line", ["{} 1", 'a{b="c} 1', "a one", "a{b=c} 1", "a"])
def test_names_the_line_it_cannot_read(line: str) -> None:
    with pytest.raises(ExpositionError, match="cannot read the line"):
        parse_sample(line)


def test_knows_what_only_grows() -> None:
    declarations = Declarations()
    for line in ("# TYPE calls_total counter", "# TYPE temperature gauge", "# TYPE wasmcustom_istio_latency histogram"):
        declarations.read(line)
    assert declarations.is_counter("calls_total")
    assert declarations.is_counter("istio_latency_bucket")
    assert declarations.is_counter("istio_latency_count")
    assert not declarations.is_counter("temperature")
    assert not declarations.is_counter("unheard_of")


def test_what_is_rendered_is_read_back() -> None:
    labels = [("a", 'quote " backslash \\ newline \n end'), ("b", "")]
    assert list(parse_sample(render_series("x", labels) + " 1").labels) == labels
