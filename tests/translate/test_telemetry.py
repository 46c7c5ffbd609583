"""Telemetry objects and the providers of the mesh config, in listeners that a real Envoy takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import readable
import real_envoy
import small_mesh
import yaml

from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.model.memo import Memo
from kaiki.model.policy.telemetry import Side, TagSource, TelemetrySettings
from kaiki.model.proxy import CLUSTER_TYPE, LISTENER_TYPE, Proxy, ProxyConfig
from kaiki.translate.generate import generate
from kaiki.translate.telemetry_plan import TelemetryPlan, telemetry_plan

MESH = """
defaultProviders: {tracing: [otel]}
defaultConfig: {tracing: {sampling: 5}}
extensionProviders:
- {name: otel, opentelemetry: {service: jaeger-collector.istio-system.svc.cluster.local, port: 4317}}
- name: otel-http
  opentelemetry:
    service: jaeger-collector.istio-system.svc.cluster.local
    port: 4318
    http: {path: /v1/traces, timeout: 3s, headers: [{name: x-key, value: secret}]}
- {name: zipkin, zipkin: {service: jaeger-collector.istio-system, port: 9411}}
- {name: nowhere, zipkin: {service: nobody.istio-system, port: 9411}}
- {name: dog, datadog: {service: a, port: 1}}
- {name: text, envoyFileAccessLog: {path: /dev/stderr, logFormat: {text: "%PROTOCOL%"}}}
- {name: labels, envoyFileAccessLog: {logFormat: {labels: {code: "%RESPONSE_CODE%"}}}}
- {name: als, envoyHttpAls: {service: jaeger-collector.istio-system, port: 4317, additionalRequestHeadersToLog: [a]}}
- {name: tcp-als, envoyTcpAls: {service: jaeger-collector.istio-system, port: 4317}}
- name: otel-als
  envoyOtelAls: {service: jaeger-collector.istio-system, port: 4317, logFormat: {labels: {a: "%REQ(A)%"}}}
"""
SERVICES = """
kind: Workload
metadata: {name: jaeger-collector, namespace: istio-system}
spec:
  sidecar: false
  ports: [{name: grpc-otel, port: 4317}, {name: http-otel, port: 4318}, {name: http-zipkin, port: 9411}]
---
kind: Workload
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}, {name: tcp, port: 9000}, {name: grpc, port: 9001}]}
---
kind: Proxy
metadata: {name: client, namespace: default}
spec: {labels: {app: client}}
"""


def telemetry(name: str, namespace: str = "istio-system", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-01T00:00:0{len(name) % 10}Z"},
        "spec": spec,
    }


def _interpreted(*objects: dict[str, Any], mesh: str = MESH) -> tuple[Interpretation, Proxy]:
    documents = [*yaml.safe_load_all(SERVICES), *objects]
    (proxy,) = small_mesh.proxies(documents)
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "istio-system", "name": "istio"},
        "data": {"mesh": mesh},
    }
    return interpret(small_mesh.inputs([*documents, config])), proxy


def _generated(*objects: dict[str, Any], mesh: str = MESH) -> ProxyConfig:
    interpretation, proxy = _interpreted(*objects, mesh=mesh)
    return generate(interpretation.snapshot, proxy, Memo())


def _listeners(config: ProxyConfig) -> str:
    readable.load_types()
    documents = [readable.as_document(item) for item in config.of(LISTENER_TYPE).values()]
    return json.dumps(documents)


def _refusal(config: ProxyConfig, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return real_envoy.validate(config, folder)


def _plan(*objects: dict[str, Any], labels: tuple[tuple[str, str], ...] = ()) -> TelemetryPlan:
    snapshot = _interpreted(*objects)[0].snapshot
    return telemetry_plan(snapshot.settings.telemetry, snapshot.telemetry, "istio-system", "default", labels, None)


def _provider(name: str) -> list[dict[str, str]]:
    return [{"name": name}]


def _codes(*objects: dict[str, Any], mesh: str = MESH) -> list[str]:
    return [finding.code for finding in _interpreted(*objects, mesh=mesh)[0].findings]


def test_every_tracer_is_taken_by_envoy(tmp_path: Path) -> None:
    tags = {
        "fixed": {"literal": {"value": "1"}},
        "from-environment": {"environment": {"name": "POD_NAME", "defaultValue": "none"}},
        "from-header": {"header": {"name": "x-user", "defaultValue": "nobody"}},
        "formatted": {"formatter": {"value": "%PROTOCOL%"}},
    }
    for name in ("otel", "otel-http", "zipkin"):
        rule = {"providers": _provider(name), "customTags": tags, "useRequestIdForTraceSampling": name != "otel"}
        config = _generated(telemetry("mesh", tracing=[rule]))
        assert _refusal(config, tmp_path / name) == ""
        listeners = _listeners(config)
        assert "istio.canonical_service" in listeners and "from-header" in listeners
        assert ('"use_request_id_for_trace_sampling": false' in listeners) == (name == "otel")


def test_every_log_provider_is_taken_by_envoy(tmp_path: Path) -> None:
    rules = [
        {"providers": _provider(name), "filter": {"expression": "response.code >= 400 || connection.mtls"}}
        for name in ("envoy", "text", "labels", "als", "tcp-als", "otel-als")
    ]
    for rule in rules:
        config = _generated(telemetry("mesh", accessLogging=[rule]))
        assert _refusal(config, tmp_path / rule["providers"][0]["name"]) == ""
        assert "response.code >= 400" in _listeners(config)
    everything = [{"providers": [one for rule in rules for one in rule["providers"]]}]
    assert _refusal(_generated(telemetry("mesh", accessLogging=everything)), tmp_path / "all") == ""


def test_changed_metrics_are_taken_by_envoy(tmp_path: Path) -> None:
    overrides = [
        {
            "match": {"metric": "REQUEST_COUNT", "mode": "CLIENT"},
            "tagOverrides": {"response_flags": {"operation": "REMOVE"}},
        },
        {"match": {"metric": "REQUEST_SIZE"}, "disabled": True},
        {
            "match": {"mode": "SERVER"},
            "tagOverrides": {
                "request_host": {"value": "request.host"},
                "who": {"value": "upstream_peer.workload"},
                "always": {"value": "'100%'"},
                "reporter": {"value": '"changed"'},
            },
        },
    ]
    config = _generated(telemetry("mesh", metrics=[{"providers": _provider("prometheus"), "overrides": overrides}]))
    assert _refusal(config, tmp_path) == ""
    listeners = _listeners(config)
    assert "istio_request_bytes" not in listeners and "istio_response_bytes" in listeners
    assert "request_host" in listeners and "100%%" in listeners and "peer.workload:PLAIN" in listeners


def test_labels_stay_in_one_tag_unless_one_of_them_changes() -> None:
    def listeners(label: str) -> str:
        overrides = [{"match": {"metric": "REQUEST_COUNT"}, "tagOverrides": {label: {"value": "request.host"}}}]
        return _listeners(_generated(telemetry("mesh", metrics=[{"overrides": overrides}])))

    added, changed, plain = listeners("mine"), listeners("response_flags"), _listeners(_generated())
    assert added.count("kaiki_labels") == plain.count("kaiki_labels")
    # Of the four metrics of a request only the one that is meant pays for its labels.
    assert changed.count("kaiki_labels") * 4 == plain.count("kaiki_labels") * 3


def test_all_metrics_can_be_off() -> None:
    rule = {"providers": _provider("prometheus"), "overrides": [{"match": {"metric": "ALL_METRICS"}, "disabled": True}]}
    listeners = _listeners(_generated(telemetry("mesh", metrics=[rule])))
    assert "istio_" not in listeners.replace("istio_cluster", "") and "kaiki.tcp" not in listeners


def test_a_side_alone_can_be_chosen() -> None:
    rule = {"match": {"mode": "SERVER"}, "randomSamplingPercentage": 40.0}
    plan = _plan(telemetry("mesh", tracing=[rule]))
    assert plan.client.tracing and plan.client.tracing.sampling_percent == 5
    assert plan.server.tracing and plan.server.tracing.sampling_percent == 40
    plan = _plan(telemetry("mesh", accessLogging=[{"match": {"mode": "CLIENT"}, "providers": _provider("envoy")}]))
    assert [one.provider.name for one in plan.client.logs] == ["envoy"] and not plan.server.logs


def test_narrower_objects_come_last_and_the_oldest_of_a_level_counts() -> None:
    objects = [
        telemetry("mesh", tracing=[{"randomSamplingPercentage": 10, "customTags": {"a": {"literal": {"value": "1"}}}}]),
        telemetry("space", "default", tracing=[{"randomSamplingPercentage": 20}]),
        telemetry("ignored", "default", tracing=[{"randomSamplingPercentage": 30}]),
        telemetry(
            "work", "default", selector={"matchLabels": {"app": "web"}}, tracing=[{"disableSpanReporting": True}]
        ),
        telemetry("elsewhere", "other", tracing=[{"randomSamplingPercentage": 50}]),
    ]
    plan = _plan(*objects)
    assert plan.client.tracing and plan.client.tracing.sampling_percent == 20
    assert [one.name for one in plan.client.tracing.custom_tags] == ["a"]
    assert _plan(*objects, labels=(("app", "web"),)).client.tracing is None
    assert "KAI1208" in _codes(*objects)


def test_log_rules_are_merged_by_provider() -> None:
    mesh = telemetry("mesh", accessLogging=[{"providers": _provider("envoy")}])
    errors = {"filter": {"expression": "response.code >= 500"}}
    plan = _plan(mesh, telemetry("space", "default", accessLogging=[errors]))
    assert [(one.provider.name, one.expression) for one in plan.client.logs] == [("envoy", "response.code >= 500")]
    plan = _plan(mesh, telemetry("space", "default", accessLogging=[{"disabled": True}]))
    assert not plan.client.logs and not plan.server.logs


def test_metrics_only_for_other_providers_are_off() -> None:
    plan = _plan(telemetry("mesh", metrics=[{"providers": _provider("other")}]))
    assert [(one.metric, one.disabled) for one in plan.client.metrics] == [("*", True)]
    assert _plan(telemetry("mesh", metrics=[{"providers": _provider("prometheus")}])).client.metrics == ()


def test_problems_are_found() -> None:
    assert set(_codes()) == {"KAI0601", "KAI1209"}
    wrong = telemetry(
        "wrong",
        targetRef={"kind": "Service", "name": "a"},
        tracing=[{"providers": _provider("jaeger")}],
        accessLogging=[{"filter": {"expression": "response.code >"}}],
        metrics=[
            {
                "reportingInterval": "5s",
                "overrides": [
                    {"match": {"metric": "TCP_SENT_BYTES"}, "disabled": True},
                    {"match": {"customMetric": "mine"}, "tagOverrides": {"x": {"value": "nobody.knows"}}},
                ],
            }
        ],
    )
    expected = {"KAI0103", "KAI1201", "KAI1202", "KAI1203", "KAI1204", "KAI1205", "KAI1206"}
    assert set(_codes(wrong)) >= expected
    assert "KAI1207" in _codes(telemetry("mesh", tracing=[{"randomSamplingPercentage": 1}]), mesh="{}")


def test_without_a_backend_nothing_is_traced_and_envoy_is_content(tmp_path: Path) -> None:
    config = _generated(telemetry("mesh", tracing=[{"providers": _provider("nowhere")}]))
    assert "envoy.tracers" not in _listeners(config)
    assert _refusal(config, tmp_path) == ""
    assert "outbound|4317||jaeger-collector.istio-system.svc.cluster.local" in config.of(CLUSTER_TYPE)


def test_the_legacy_tracer_and_the_annotation() -> None:
    mesh = "defaultConfig: {tracing: {sampling: 3, zipkin: {address: 'jaeger-collector.istio-system:9411'}}}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "client",
            "namespace": "default",
            "annotations": {"proxy.istio.io/config": "tracing: {sampling: 77, customTags: {a: {literal: {value: b}}}}"},
        },
    }
    interpretation, proxy = _interpreted(pod, mesh=mesh)
    own = interpretation.snapshot.workloads[proxy.key].tracing
    settings: TelemetrySettings = interpretation.snapshot.settings.telemetry
    plan = telemetry_plan(settings, (), "istio-system", "default", (), own).of(Side.CLIENT).tracing
    assert plan and plan.sampling_percent == 77 and plan.tracer.kind == "zipkin"
    assert [(one.name, one.source) for one in plan.custom_tags] == [("a", TagSource.LITERAL)]
    off = telemetry_plan(
        _interpreted(mesh="enableTracing: false\n" + mesh)[0].snapshot.settings.telemetry, (), "r", "n", (), own
    )
    assert off.client.tracing is None


def test_equal_plans_share_their_listeners() -> None:
    interpretation, proxy = _interpreted(telemetry("mesh", accessLogging=[{"providers": _provider("envoy")}]))
    memo = Memo()
    first = generate(interpretation.snapshot, proxy, memo).of(LISTENER_TYPE)
    again = generate(interpret_again(interpretation), proxy, memo).of(LISTENER_TYPE)
    assert all(again[name] is item for name, item in first.items())


def interpret_again(interpretation: Interpretation) -> Any:
    from dataclasses import replace

    return replace(interpretation.snapshot)
