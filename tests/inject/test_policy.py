"""Who gets a sidecar: the truth table of Istio's injection labels."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.inject import InjectionSettings, injection_refusal
from kaiki.inject.workload import workload_name

SETTINGS = InjectionSettings(version="1.2.3", render_bootstrap=lambda _: {})
ENABLED = {"istio-injection": "enabled"}
DISABLED = {"istio-injection": "disabled"}


def pod(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "a", "labels": labels or {}, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "a", "image": "a"}], **spec}}


WANTED = {"sidecar.istio.io/inject": "true"}
UNWANTED = {"sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize(
    ("namespace_labels", "given", "injected"),
    [
        ({}, pod(), False),
        (ENABLED, pod(), True),
        (DISABLED, pod(), False),
        (ENABLED, pod(UNWANTED), False),
        (ENABLED, pod(annotations=UNWANTED), False),
        ({}, pod(WANTED), True),
        ({}, pod(annotations=WANTED), True),
        (DISABLED, pod(WANTED), False),
        (ENABLED, pod(WANTED, UNWANTED), True),
        (ENABLED, pod(UNWANTED, WANTED), False),
        (ENABLED, pod({"sidecar.istio.io/inject": "nonsense"}), False),
        (ENABLED, pod(hostNetwork=True), False),
        ({}, pod(WANTED, hostNetwork=True), False),
        (ENABLED, pod(annotations={"sidecar.istio.io/status": "{}"}), False),
        (ENABLED, pod(initContainers=[{"name": "istio-proxy"}]), False),
        ({"istio.io/rev": "default"}, pod(), True),
        ({"istio.io/rev": "canary"}, pod(), False),
        ({"istio.io/rev": "canary"}, pod(WANTED), False),
        ({**ENABLED, "istio.io/rev": "canary"}, pod(), True),
        ({}, pod({"istio.io/rev": "default"}), True),
        ({}, pod({"istio.io/rev": "canary", **WANTED}), False),
    ],
)
def test_injection_policy(namespace_labels: dict[str, str], given: dict[str, Any], injected: bool) -> None:
    assert (injection_refusal(given, namespace_labels, SETTINGS) is None) is injected


def test_system_namespaces_are_left_alone() -> None:
    given = pod(WANTED)
    given["metadata"]["namespace"] = "kube-system"
    assert "never injected" in (injection_refusal(given, ENABLED, SETTINGS) or "")


def owned(kind: str, name: str, **labels: str) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "controller": True}
    labels = {key.replace("_", "-"): value for key, value in labels.items()}
    return {"metadata": {"generateName": f"{name}-", "labels": labels, "ownerReferences": [owner]}}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (owned("ReplicaSet", "reviews-v1-6d4fbd", pod_template_hash="6d4fbd"), "reviews-v1"),
        (owned("ReplicaSet", "reviews-v1"), "reviews-v1"),
        (owned("StatefulSet", "db"), "db"),
        (owned("Job", "report-29012345"), "report"),
        (owned("Job", "report-2024"), "report-2024"),
        ({"metadata": {"name": "alone"}}, "alone"),
        ({"metadata": {"generateName": "alone-"}}, "alone"),
        ({"metadata": {"name": "a", "ownerReferences": [{"kind": "Node", "name": "n"}]}}, "a"),
    ],
)
def test_workload_name(given: dict[str, Any], name: str) -> None:
    assert workload_name(given) == name
