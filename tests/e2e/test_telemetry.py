"""Telemetry objects in force: traces over all services, chosen access logs, changed metrics."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest
from mesh import SAMPLES, Mesh, wait_until

pytestmark = pytest.mark.e2e

SERVICES = {
    "istio-ingressgateway.istio-system",
    "productpage.default",
    "details.default",
    "reviews.default",
    "ratings.default",
}


def _ask(mesh: Mesh, path: str, **parameters: Any) -> Any:
    url = f"{mesh.environment['KAIKI_TRACING_URL']}{path}?{urllib.parse.urlencode(parameters)}"
    status, text = mesh.get(url)
    assert status == 200, text
    return json.loads(text)["data"]


def _apply(mesh: Mesh, name: str) -> None:
    mesh.kubectl("apply", "-f", str(SAMPLES / "telemetry" / name))


def test_a_request_is_one_trace_over_all_its_services(bookinfo: Mesh) -> None:
    _apply(bookinfo, "trace-everything.yaml")
    found: dict[str, Any] = {}

    def traced() -> bool:
        bookinfo.get(f"{bookinfo.gateway}/productpage")
        for trace in _ask(bookinfo, "/api/traces", service="productpage.default", limit=20, lookback="1h"):
            known = {one["spanID"] for one in trace["spans"]}
            whole = all(reference["spanID"] in known for one in trace["spans"] for reference in one["references"])
            if whole and {one["serviceName"] for one in trace["processes"].values()} == SERVICES:
                found.update(trace)
                return True
        return False

    wait_until(traced, "a trace goes through all services", timeout_seconds=120)
    spans = {one["spanID"]: one for one in found["spans"]}
    roots = [one for one in spans.values() if not one["references"]]
    assert [found["processes"][one["processID"]]["serviceName"] for one in roots] == [
        "istio-ingressgateway.istio-system"
    ]
    inner = next(one for one in spans.values() if one["operationName"].startswith("ratings.") and one["references"])
    tags = {one["key"]: one["value"] for one in inner["tags"]}
    assert tags["istio.mesh_id"] == "cluster.local" and tags["component"] == "proxy"
    assert tags["http.status_code"] == "200" and tags["response_flags"] == "-" and tags["guid:x-request-id"]
    assert tags["node_id"].startswith("sidecar~") and tags["upstream_cluster"]
    (again,) = _ask(bookinfo, f"/jaeger/api/traces/{found['traceID']}")
    assert again["traceID"] == found["traceID"]
    edges = {(one["parent"], one["child"]) for one in _ask(bookinfo, "/api/dependencies")}
    assert ("productpage.default", "reviews.default") in edges


def test_only_failures_are_logged_where_that_is_asked(bookinfo: Mesh) -> None:
    _apply(bookinfo, "log-failures.yaml")

    def logged() -> bool:
        bookinfo.get(f"{bookinfo.gateway}/api/v1/products/0/none-such")
        bookinfo.get(f"{bookinfo.gateway}/productpage?logged=never")
        lines = bookinfo.kubectl("logs", "deployment/productpage-v1", "-c", "istio-proxy", "--tail=-1")
        return "none-such" in lines

    wait_until(logged, "the failure is in the log")
    lines = bookinfo.kubectl("logs", "deployment/productpage-v1", "-c", "istio-proxy", "--tail=-1").splitlines()
    written = [line for line in lines if " HTTP/1.1" in line]
    assert written and all(" 404 " in line for line in written), written
    assert "logged=never" not in "".join(lines)
    # Of two objects for a whole namespace only the older one is in force.
    bookinfo.kubectl("delete", "telemetry", "log-failures")


def test_metrics_are_changed_where_that_is_asked(bookinfo: Mesh) -> None:
    _apply(bookinfo, "count-methods.yaml")
    new = 'istio_requests_total{request_method="GET",destination_app="details"}'

    def counted() -> bool:
        bookinfo.get(f"{bookinfo.gateway}/productpage")
        return len(bookinfo.query(new)) >= 2

    wait_until(counted, "requests are counted by method", timeout_seconds=90)
    labels = [one["metric"] for one in bookinfo.query(new)]
    assert {one["reporter"] for one in labels} == {"source", "destination"}
    assert all("source_principal" not in one and "destination_principal" not in one for one in labels)
    assert all(one["source_workload"] == "productpage-v1" for one in labels)

    def sizes() -> float:
        return bookinfo.value('sum(istio_request_bytes_count{destination_app="details"})')

    def unmeasured() -> bool:
        """A round of requests that is counted and adds no size; what was on its way before may still do so."""
        before, seen = sizes(), bookinfo.value(f"sum({new})")
        for _ in range(5):
            bookinfo.get(f"{bookinfo.gateway}/productpage")
        wait_until(lambda: bookinfo.value(f"sum({new})") >= seen + 10, "more requests are counted")
        return sizes() == before

    wait_until(unmeasured, "request sizes are no longer measured", timeout_seconds=120)


def test_the_control_plane_measures_itself(bookinfo: Mesh) -> None:
    for name in (
        "pilot_proxy_queue_time_count",
        "pilot_debounce_time_count",
        "pilot_xds_config_size_bytes_bucket",
        "pilot_k8s_reg_events",
        "pilot_k8s_cfg_events",
        "pilot_inbound_updates",
        "citadel_server_csr_count",
        "citadel_server_root_cert_expiry_timestamp",
        "istiod_uptime_seconds",
        'process_resident_memory_bytes{app="istiod"}',
        'process_cpu_seconds_total{app="istiod"}',
        'apiserver_request_total{verb="LIST",resource="pods",code="200"}',
        'apiserver_request_duration_seconds_bucket{verb="PATCH"}',
        'apiserver_longrunning_requests{verb="WATCH"}',
        'kaiki_runtime_pods{phase="Running",job="kubernetes-nodes"}',
        'kaiki_runtime_containers{state="running"}',
        "kaiki_runtime_sandbox_start_seconds_count",
        "kaiki_runtime_pod_ready_seconds_count",
        "kaiki_runtime_captures_total",
    ):
        wait_until(lambda name=name: bookinfo.value(f"sum({name})") > 0, name)
    assert bookinfo.value("sum(pilot_xds_lds_reject + pilot_xds_cds_reject + pilot_xds_rds_reject)") == 0


def test_what_cannot_be_done_is_said(bookinfo: Mesh) -> None:
    wrong = {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "wrong", "namespace": "default"},
        "spec": {"accessLogging": [{"filter": {"expression": "response.code >"}}]},
    }
    answer = bookinfo.kubectl("apply", "-f", "-", given=json.dumps(wrong), check=False)
    assert "KAI1202" in answer and "a value is missing" in answer
