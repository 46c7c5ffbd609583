"""Small meshes for tests: real API objects, and a shorthand that stands for a Deployment and its Service.

kind: Workload
metadata: {name: reviews, namespace: default}
spec:
  ports: [{name: http, port: 9080}]     # of the Service; no ports: no Service
  versions: {v1: 2, v2: 1}              # version label → number of pods
  labels: {v2: {istio-locality: eu.north}}  # more labels of a version's pods
  sidecar: true                         # false: the pods are outside the mesh
  headless: false
  stateful: false                       # true: the pods have names of their own, NAME-0 and so on

kind: Proxy
metadata: {name: client, namespace: default}
spec: {kind: sidecar, labels: {app: client}, capture: mark}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from kaiki.interpret.interpretation import Inputs
from kaiki.model.identity import Identity, workload_labels
from kaiki.model.proxy import Capture, Proxy
from kaiki.model.workload import ProxyKind

Document = dict[str, Any]


def inputs(documents: Iterable[Document]) -> Inputs:
    """What interpretation gets."""
    objects = (obj for document in documents for obj in _expanded(document))
    return {(_kind(obj), obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj for obj in objects}


def _kind(obj: Document) -> str:
    """The kind as among the inputs: `Gateway` is Istio's."""
    of_gateway_api = str(obj.get("apiVersion", "")).startswith("gateway.networking.k8s.io")
    return "KubernetesGateway" if of_gateway_api and obj["kind"] == "Gateway" else str(obj["kind"])


def proxies(documents: Iterable[Document]) -> list[Proxy]:
    """The proxies to generate for."""
    return [_proxy(document) for document in documents if document["kind"] == "Proxy"]


def _proxy(document: Document) -> Proxy:
    metadata, spec = document["metadata"], document.get("spec", {})
    labels = spec.get("labels", {})
    return Proxy(
        kind=ProxyKind(spec.get("kind", "sidecar")),
        name=metadata["name"],
        namespace=metadata["namespace"],
        identity=Identity(metadata["namespace"], "test"),
        metric_labels=workload_labels(metadata["name"], metadata["namespace"], labels),
        labels=tuple(sorted(labels.items())),
        capture=Capture(spec.get("capture", "none")),
    )


def _expanded(document: Document) -> Iterator[Document]:
    if document["kind"] == "Workload":
        yield from _workload(document)
    elif document["kind"] != "Proxy":
        yield document


def _address(prefix: str, *parts: str) -> str:
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return f"{prefix}.{digest[0]}.{1 + digest[1] % 250}"


def _workload(document: Document) -> Iterator[Document]:
    metadata, spec = document["metadata"], document["spec"]
    name, namespace = metadata["name"], metadata["namespace"]
    pods = [
        _pod(name, namespace, version, number, spec)
        for version, count in spec.get("versions", {"v1": 1}).items()
        for number in range(count)
    ]
    yield from pods
    if spec.get("ports"):
        yield _service(name, namespace, spec)
        yield _slice(name, namespace, spec, pods)


def _pod(name: str, namespace: str, version: str, number: int, spec: Document) -> Document:
    owner = f"{name}-{version}"
    labels = {"app": name, "version": version, "pod-template-hash": "abc", **spec.get("labels", {}).get(version, {})}
    proxy = [{"name": "istio-proxy"}] if spec.get("sidecar", True) else []
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{owner}-abc-{number}",
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{owner}-abc", "controller": True}],
        },
        "spec": {"serviceAccountName": f"{name}-account", "initContainers": proxy, "containers": [{"name": name}]},
        "status": {
            "podIP": _address("10.97", namespace, owner, str(number)),
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _service(name: str, namespace: str, spec: Document) -> Document:
    address = "None" if spec.get("headless") else _address("10.96", namespace, name)
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "selector": {"app": name}, "ports": spec["ports"]},
    }


def _slice(name: str, namespace: str, spec: Document, pods: list[Document]) -> Document:
    targets = [
        {"name": port.get("name", ""), "port": port.get("targetPort", port["port"])}
        for port in spec["ports"]
        if isinstance(port.get("targetPort", 0), int)
    ]
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": targets,
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace},
                **({"hostname": f"{name}-{number}"} if spec.get("stateful") else {}),
            }
            for number, pod in enumerate(pods)
        ],
    }
