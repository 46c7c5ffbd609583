"""EnvoyFilters that patch what a proxy starts with: which pods get them, and how."""

from __future__ import annotations

import json
from typing import Any

from kaiki.app.bootstrap_patches import patched_gateway
from kaiki.app.proxies import gateway_arguments, render_bootstrap
from kaiki.app.proxy_settings import injection_of
from kaiki.inject.pod import inject_pod
from kaiki.inject.settings import InjectionSettings
from kaiki.interpret.interpretation import check_object, interpret
from kaiki.interpret.workloads import workload_instance
from kaiki.model.envoy_filter import PatchResult
from kaiki.model.memo import Memo
from kaiki.model.proxy import Capture, Proxy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind
from kaiki.translate.generate import generate

SETTINGS = InjectionSettings(version="1", render_bootstrap=render_bootstrap)
TRACING = {"stats_flush_interval": "7s", "overload_manager": {"refresh_interval": "0.250s"}, "flags_path": "/$HOME"}


def _filter(name: str, namespace: str, value: dict[str, Any], context: str = "ANY", **more: Any) -> dict[str, Any]:
    patch = {"applyTo": "BOOTSTRAP", "match": {"context": context}, "patch": {"operation": "MERGE", "value": value}}
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"configPatches": [patch], **more},
    }


def _mesh(*objects: dict[str, Any]) -> MeshSnapshot:
    return interpret(
        {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in objects}
    ).snapshot


def _pod() -> dict[str, Any]:
    labels = {"app": "web", "sidecar.istio.io/inject": "true"}
    metadata = {"generateName": "web-", "namespace": "shop", "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "web"}]}}


def _gateway_pod() -> dict[str, Any]:
    arguments = list(gateway_arguments(Capture.MARK, "istio-system"))
    metadata = {"name": "edge-1", "namespace": "istio-system", "labels": {"istio": "ingressgateway"}}
    container = {"name": "istio-proxy", "args": arguments}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [container, {"name": "other"}]}}


def _injected(snapshot: MeshSnapshot) -> dict[str, Any]:
    injected = inject_pod(_pod(), {}, injection_of(_pod(), snapshot, SETTINGS))
    assert injected is not None
    injected["metadata"]["name"] = "web-1"
    return injected


def _bootstrap(pod: dict[str, Any]) -> dict[str, Any]:
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    (arguments,) = (item["args"] for item in containers if item["name"] == "istio-proxy")
    found: dict[str, Any] = json.loads(arguments[arguments.index("--config-yaml") + 1])
    return found


def _results(pod: dict[str, Any], kind: ProxyKind, *filters: dict[str, Any]) -> list[PatchResult]:
    """What became of the patches in the proxy of a pod that runs."""
    snapshot = _mesh(pod, *filters)
    return list(generate(snapshot, Proxy.of(workload_instance(pod), kind), Memo()).patches)


def test_a_sidecar_starts_with_the_patches_of_its_mesh_then_of_its_namespace() -> None:
    later = {"stats_flush_interval": "9s"}
    snapshot = _mesh(
        _filter("own", "shop", later, workloadSelector={"labels": {"app": "web"}}),
        _filter("all", "istio-system", TRACING),
        _filter("gateways", "istio-system", {"flags_path": "/no"}, "GATEWAY"),
        _filter("others", "shop", {"flags_path": "/no"}, workloadSelector={"labels": {"app": "db"}}),
    )
    plain, patched = _bootstrap(_injected(_mesh())), _bootstrap(_injected(snapshot))
    assert patched["stats_flush_interval"] == "9s"
    assert patched["overload_manager"] == {"refresh_interval": "0.250s"}
    assert patched["flags_path"] == "/$$HOME", "Kubernetes expands what containers are given"
    assert patched["node"] == plain["node"]
    assert [one["name"] for one in patched["static_resources"]["listeners"]] == ["status", "readiness", "prometheus"]


def test_a_running_proxy_has_what_it_was_started_with() -> None:
    patch, changed = _filter("all", "istio-system", TRACING), _filter("all", "istio-system", {"flags_path": "/a"})
    before, after = _injected(_mesh()), _injected(_mesh(patch))
    for pod, asked, matched in ((before, patch, 0), (after, patch, 1), (after, changed, 0)):
        (result,) = _results(pod, ProxyKind.SIDECAR, asked)
        assert (result.matched, result.waits, result.error) == (matched, not matched, "")


def test_a_gateway_starts_with_its_patches_too() -> None:
    patch = _filter("edge", "istio-system", TRACING, "GATEWAY")
    pod = patched_gateway(_gateway_pod(), _mesh(patch))
    assert pod is not None
    assert _bootstrap(pod)["flags_path"] == "/$$HOME"
    assert pod["spec"]["containers"][1] == {"name": "other"}
    (result,) = _results(pod, ProxyKind.GATEWAY, patch)
    assert result.matched
    assert patched_gateway(_gateway_pod(), _mesh(_filter("x", "shop", TRACING))) is None
    assert patched_gateway(_pod(), _mesh(patch)) is None


def test_a_value_that_is_no_bootstrap_is_left_out_and_said() -> None:
    wrong, right = _filter("wrong", "istio-system", {"no_such_field": 1}), _filter("right", "istio-system", TRACING)
    pod = _injected(_mesh(wrong, right))
    assert _bootstrap(pod)["stats_flush_interval"] == "7s"
    by_name = {one.source.name: one for one in _results(pod, ProxyKind.SIDECAR, wrong, right)}
    assert "no_such_field" in by_name["wrong"].error
    assert by_name["right"].matched


def test_a_bootstrap_is_only_merged() -> None:
    obj = _filter("all", "istio-system", TRACING)
    assert not check_object(obj, _mesh())
    obj["spec"]["configPatches"][0]["patch"]["operation"] = "ADD"
    (finding,) = check_object(obj, _mesh())
    assert (finding.code, finding.path) == ("KAI0701", "spec.configPatches[0].patch.operation")
