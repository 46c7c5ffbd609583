"""Golden cases: cases/<name>/in.yaml is a pod and its namespace's labels, local.yaml and cluster.yaml the results.

`make golden` rewrites them. The bootstrap is replaced by the request for it, so that cases
show what injection says and not what translation makes of it. The cluster's form is the one whose bootstrap can answer
every kind of probe.
"""

from __future__ import annotations

import copy
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.inject import BootstrapRequest, InjectionSettings, inject_pod
from kaiki.inject.settings import ProbeKind
from kaiki.model.proxy import Capture

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())


def show_request(request: BootstrapRequest) -> dict[str, Any]:
    return {"request": asdict(request)}


LOCAL = InjectionSettings(version="1.2.3", render_bootstrap=show_request, capture=Capture.MARK, concurrency=1)
ALL_PROBES: frozenset[ProbeKind] = frozenset({"http", "https", "tcp", "grpc"})
CLUSTER = InjectionSettings(version="1.2.3", render_bootstrap=show_request, probe_kinds=ALL_PROBES)
FORMS = {"local": LOCAL, "cluster": CLUSTER}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_injected_pod_equals_golden(case: Path, form: str) -> None:
    given_case = yaml.safe_load((case / "in.yaml").read_text())
    before = copy.deepcopy(given_case)
    injected = inject_pod(given_case["pod"], given_case.get("namespaceLabels") or {}, FORMS[form])
    assert given_case == before, "the input was changed"
    text = yaml.safe_dump(injected, sort_keys=True, width=120)
    golden = case / f"{form}.yaml"
    if os.environ.get("KAIKI_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_injected_pod_is_one_kubernetes_accepts(case: Path) -> None:
    given_case = yaml.safe_load((case / "in.yaml").read_text())
    injected = inject_pod(given_case["pod"], given_case.get("namespaceLabels") or {}, CLUSTER)
    if injected is not None:
        kubernetes_validate.validate(injected, "1.32", strict=True)


names = st.from_regex(r"\A[a-z]([a-z0-9-]{0,8}[a-z0-9])?\Z")
ports = st.integers(1, 65535)
handlers = st.one_of(
    st.builds(lambda port, path: {"httpGet": {"port": port, "path": path}}, ports, st.text(max_size=8)),
    st.builds(lambda port: {"tcpSocket": {"port": port}}, ports),
    st.builds(lambda port, service: {"grpc": {"port": port, "service": service}}, ports, st.text(max_size=4)),
    st.just({"exec": {"command": ["true"]}}),
    st.just({"httpGet": {"port": "web"}}),
)
containers = st.builds(
    lambda name, probes, named: {
        "name": name,
        "image": "example",
        **probes,
        **({"ports": [{"name": "web", "containerPort": 80}]} if named else {}),
    },
    names,
    st.dictionaries(st.sampled_from(["readinessProbe", "livenessProbe", "startupProbe"]), handlers),
    st.booleans(),
)
annotation_sets = st.dictionaries(
    st.sampled_from(
        [
            "sidecar.istio.io/inject",
            "traffic.sidecar.istio.io/excludeOutboundPorts",
            "traffic.sidecar.istio.io/includeInboundPorts",
            "prometheus.io/port",
            "prometheus.io/scrape",
            "prometheus.istio.io/merge-metrics",
            "sidecar.istio.io/rewriteAppHTTPProbers",
        ]
    ),
    st.sampled_from(["true", "false", "", "8080", "*", "80, 443", "$(POD_IP)"]),
)
pods = st.builds(
    lambda name, labels, annotations, first, more: {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"containers": [first, *more]},
    },
    names,
    st.dictionaries(st.sampled_from(["app", "version", "app.kubernetes.io/name"]), names),
    annotation_sets,
    containers,
    st.lists(containers, max_size=2),
)
namespaces = st.sampled_from([{}, {"istio-injection": "enabled"}, {"istio.io/rev": "default"}])


@given(pods, namespaces)
@settings(max_examples=60, deadline=None)
def test_injecting_twice_changes_nothing(pod: dict[str, Any], namespace_labels: dict[str, str]) -> None:
    injected = inject_pod(pod, namespace_labels, CLUSTER)
    if injected is not None:
        assert inject_pod(injected, namespace_labels, CLUSTER) is None
        assert injected == inject_pod(copy.deepcopy(pod), namespace_labels, CLUSTER)
        assert [c["name"] for c in injected["spec"]["containers"]] == [c["name"] for c in pod["spec"]["containers"]]


@given(pods)
@settings(max_examples=60, deadline=None)
def test_no_text_of_the_user_is_expanded_in_the_proxy_arguments(pod: dict[str, Any]) -> None:
    pod["spec"]["containers"][0]["livenessProbe"] = {"httpGet": {"port": 1, "path": "/$(POD_IP)$$"}}
    pod["metadata"]["annotations"].pop("sidecar.istio.io/rewriteAppHTTPProbers", None)
    injected = inject_pod(pod, {"istio-injection": "enabled"}, CLUSTER)
    if injected is not None:
        proxy = injected["spec"]["initContainers"][1]
        assert "/$$(POD_IP)$$$$" in proxy["args"][1]
