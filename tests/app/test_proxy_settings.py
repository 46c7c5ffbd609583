"""How the proxy of a pod runs: which of several objects has the last word."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kaiki.app.proxies import render_bootstrap
from kaiki.app.proxy_settings import injection_of, with_image_type
from kaiki.inject.pod import inject_pod
from kaiki.inject.settings import InjectionSettings
from kaiki.interpret.interpretation import interpret
from kaiki.interpret.mesh_config import MESH_CONFIG
from kaiki.model.snapshot import MeshSnapshot

SETTINGS = InjectionSettings(version="1", render_bootstrap=render_bootstrap)


def _config(name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1beta1", "kind": "ProxyConfig", "metadata": metadata, "spec": spec}


def _mesh(*objects: dict[str, Any], mesh: str = "") -> MeshSnapshot:
    config = {"kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": mesh}}
    inputs = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in (config, *objects)}
    made = interpret(inputs)
    assert not made.findings
    return made.snapshot


def _pod(annotation: str = "") -> dict[str, Any]:
    annotations = {"proxy.istio.io/config": annotation} if annotation else {}
    metadata = {"name": "p", "namespace": "shop", "labels": {"app": "web"}, "annotations": annotations}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "web"}]}}


OF_MESH = _config("mesh", "istio-system", {"concurrency": 5, "environmentVariables": {"A": "mesh", "B": "mesh"}})
OF_NAMESPACE = _config("shop", "shop", {"concurrency": 4, "environmentVariables": {"A": "namespace"}})
BY_LABEL = _config("web", "shop", {"selector": {"matchLabels": {"app": "web"}}, "concurrency": 0})


def test_the_nearest_has_the_last_word() -> None:
    by_default = _mesh(mesh="defaultConfig: {concurrency: 6, drainDuration: 9s, proxyMetadata: {C: default}}")
    found = injection_of(_pod(), by_default, SETTINGS)
    assert (found.concurrency, found.environment, found.drain_seconds) == (6, (("C", "default"),), 9)
    assert injection_of(_pod(), _mesh(OF_MESH), SETTINGS).concurrency == 5
    found = injection_of(_pod(), _mesh(OF_MESH, OF_NAMESPACE), SETTINGS)
    assert (found.concurrency, found.environment) == (4, (("A", "namespace"), ("B", "mesh")))
    annotated = _pod("{concurrency: 3, proxyMetadata: {A: pod}, image: {imageType: distroless}}")
    found = injection_of(annotated, _mesh(OF_MESH, OF_NAMESPACE), SETTINGS)
    assert (found.concurrency, dict(found.environment)["A"]) == (3, "pod")
    assert found.proxy_image == "envoyproxy/envoy:distroless-v1.40.0"
    assert injection_of(annotated, _mesh(OF_NAMESPACE, BY_LABEL), SETTINGS).concurrency == 0
    assert injection_of(_pod(), _mesh(), SETTINGS) == SETTINGS


def test_an_annotation_that_cannot_be_read_changes_nothing() -> None:
    for text in ("[", "concurrency: many", "- a"):
        assert injection_of(_pod(text), _mesh(), SETTINGS) == SETTINGS


def test_the_settings_reach_the_container() -> None:
    matcher = "proxyStatsMatcher: {inclusionPrefixes: [cluster.outbound], inclusionRegexps: ['.*rq_[0-9]xx']}"
    wish = injection_of(_pod(matcher), _mesh(), SETTINGS).statistics
    assert wish == (("prefix", "cluster.outbound"), ("regex", ".*rq_[0-9]xx"))
    settings = injection_of(_pod("concurrency: 0\nproxyMetadata: {A: b}\ndrainDuration: 45s"), _mesh(), SETTINGS)
    injected = inject_pod(_pod() | {"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}, {}, settings)
    assert injected is not None
    proxy = next(one for one in injected["spec"]["initContainers"] if one["name"] == "istio-proxy")
    assert "--concurrency" not in proxy["args"]
    assert proxy["args"][proxy["args"].index("--drain-time-s") + 1] == "45"
    assert {"name": "A", "value": "b"} in proxy["env"]


def test_types_of_the_image() -> None:
    assert with_image_type("registry:5000/envoy:v1", "debug") == "registry:5000/envoy:debug-v1"
    assert with_image_type("envoy:v1", "default") == "envoy:v1"


def test_defaults_of_the_mesh_config_hold_where_objects_say_nothing() -> None:
    route = {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]}
    said = {**route, "exportTo": ["*"], "http": [{"retries": {"attempts": 1}, "route": route["http"][0]["route"]}]}  # type: ignore[index]
    text = """
    defaultServiceExportTo: ["."]
    defaultVirtualServiceExportTo: ["."]
    defaultDestinationRuleExportTo: [other]
    defaultHttpRetryPolicy: {attempts: 7, retryOn: 5xx}
    """
    documents = list(
        yaml.safe_load_all(
            """
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
---
kind: Service
metadata: {name: open, namespace: shop, annotations: {networking.istio.io/exportTo: "*"}}
spec: {clusterIP: 10.96.0.8, ports: [{name: http, port: 80}]}
"""
        )
    )
    api = "networking.istio.io/v1"
    kinds = [
        ("VirtualService", "silent", route),
        ("VirtualService", "saying", said),
        ("DestinationRule", "rule", {"host": "web"}),
    ]
    objects = [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
        for kind, name, spec in kinds
    ]
    config = {"kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": text}}
    every = [config, *documents, *objects]
    snapshot = interpret(
        {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in every}
    ).snapshot
    assert snapshot.services["web.shop.svc.cluster.local"].export_to == ("shop",)
    assert snapshot.services["open.shop.svc.cluster.local"].export_to == ("*",)
    made = {item.source.name: item for item in snapshot.virtual_services["mesh"]}
    assert (made["silent"].export_to, made["saying"].export_to) == (("shop",), ("*",))
    attempts = {name: item.http[0].retries.attempts for name, item in made.items() if item.http[0].retries}
    assert attempts == {"silent": 7, "saying": 1}
    assert snapshot.destination_policies["web.shop.svc.cluster.local"][0].export_to == ("other",)


def test_what_is_redirected_is_said_for_all_and_otherwise_by_a_pod() -> None:
    proxy = {"includeIPRanges": "10.96.0.0/16", "excludeOutboundPorts": 3306, "includeInboundPorts": "*"}
    made = interpret({MESH_CONFIG: _values(json.dumps({"global": {"proxy": proxy}}))})
    assert not made.findings

    def redirected(**annotations: str) -> list[str]:
        pod = _pod()
        pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "true"
        pod["metadata"]["annotations"] = {f"traffic.sidecar.istio.io/{key}": text for key, text in annotations.items()}
        injected = inject_pod(pod, {}, injection_of(pod, made.snapshot, SETTINGS))
        assert injected is not None
        return list(injected["spec"]["initContainers"][0]["args"])

    usual = redirected()
    assert "--include-outbound-ip-ranges=10.96.0.0/16" in usual
    assert "--exclude-outbound-ports=15012,3306" in usual
    assert not any(one.startswith("--include-inbound-ports") for one in usual)
    assert "--include-outbound-ip-ranges=10.1.0.0/16" in redirected(includeOutboundIPRanges="10.1.0.0/16")


@pytest.mark.parametrize("values", ['{"global": {"proxy": {"privileged": true}}}', '{"global": []}', "["])
def test_values_that_nobody_knows_are_found(values: str) -> None:
    made = interpret({MESH_CONFIG: _values(values)})
    assert [(one.code, one.path) for one in made.findings] == [("KAI0601", "data.values")]


def _values(text: str) -> dict[str, Any]:
    metadata = {"name": "istio", "namespace": "istio-system"}
    return {"kind": "ConfigMap", "metadata": metadata, "data": {"values": text}}
