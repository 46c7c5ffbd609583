"""The API's own metrics: what was answered, how quickly, and what is still open."""

from kaiki.apiserver.request_metrics import Asked, RequestMetrics

PODS = 'group="",resource="pods",scope="namespace",subresource="",version="v1"'


def test_requests_are_counted_and_timed() -> None:
    metrics = RequestMetrics()
    asked = Asked("list", "", "v1", "pods", "", "namespace")
    metrics.end(asked, 200, 0.03)
    metrics.end(asked, 200, 99.0)
    metrics.end(Asked("create", "", "v1", "pods", "", "namespace"), 409, 0.001)
    lines = metrics.render().splitlines()
    assert f'apiserver_request_total{{code="200",verb="LIST",{PODS}}} 2' in lines
    assert f'apiserver_request_total{{code="409",verb="POST",{PODS}}} 1' in lines
    assert f'apiserver_request_duration_seconds_bucket{{verb="LIST",{PODS},le="0.025"}} 0' in lines
    assert f'apiserver_request_duration_seconds_bucket{{verb="LIST",{PODS},le="0.05"}} 1' in lines
    assert f'apiserver_request_duration_seconds_bucket{{verb="LIST",{PODS},le="+Inf"}} 2' in lines
    assert f'apiserver_request_duration_seconds_sum{{verb="LIST",{PODS}}} 99.03' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_watches_are_shown_while_they_are_open() -> None:
    metrics = RequestMetrics()
    watch = Asked("watch", "", "v1", "pods", "", "namespace")
    metrics.begin(watch)
    assert f'apiserver_longrunning_requests{{verb="WATCH",{PODS}}} 1' in metrics.render()
    metrics.end(watch, 200, 1000.0)
    text = metrics.render()
    assert f'apiserver_longrunning_requests{{verb="WATCH",{PODS}}} 0' in text
    assert "apiserver_request_duration_seconds_count" not in text
