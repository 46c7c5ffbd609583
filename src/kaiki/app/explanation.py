"""Why a request goes where it goes: what the control plane would tell a proxy, worked out here and walked through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaiki.interpret.credentials import CREDENTIAL, wanted_credentials
from kaiki.interpret.interpretation import KINDS, Inputs, Interpretation, interpret
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.model.memo import Memo
from kaiki.model.proxy import Capture, Proxy, ProxyConfig
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.sources.collections import caches_of
from kaiki.translate.gateway import bound_servers
from kaiki.translate.generate import generate
from kaiki.translate.simulation import Outcome, Request, address_of, simulate


class UnknownProxy(Exception):
    """No pod of this name has a proxy; the text names some that have."""


async def read_mesh(client: KubeClient) -> Interpretation:
    """The mesh as the API has it now. Secrets are not read: those that Gateways name count as good."""
    inputs: dict[tuple[str, str, str], Any] = {}
    for kind, cache in caches_of(client, KINDS).items():
        try:
            found = await client.list(cache.resource)
        except NotFound:
            continue
        for obj in found:
            metadata = obj["metadata"]
            # What a list holds does not say its kind.
            obj = {"kind": kind, "apiVersion": cache.resource.api_version, **obj}
            inputs[kind, str(metadata.get("namespace") or ""), str(metadata["name"])] = obj
    return interpret(_with_secrets(inputs))


def _with_secrets(inputs: dict[tuple[str, str, str], Any]) -> Inputs:
    for namespace, name in wanted_credentials(interpret(inputs).snapshot):
        metadata = {"namespace": namespace, "name": name}
        inputs[CREDENTIAL, namespace, name] = {
            "metadata": metadata,
            "version": "assumed",
            "pairProblem": "",
            "rootsProblem": "",
        }
    return inputs


def proxy_of(snapshot: MeshSnapshot, namespace: str, name: str) -> Proxy:
    """The proxy of a pod, by its name, its workload's, or its `app`. Raises UnknownProxy."""
    with_proxy = [item for item in snapshot.workloads.values() if item.proxy is not ProxyKind.NONE]
    here = [item for item in with_proxy if item.namespace == namespace]
    chosen = next((item for item in here if item.name == name), None)
    chosen = chosen or next((item for item in here if _is_called(item, name)), None)
    if chosen is None:
        others = ", ".join(sorted({f"{item.metric_labels.workload}.{item.namespace}" for item in with_proxy})) or "none"
        raise UnknownProxy(f"no pod {name} with a proxy is in namespace {namespace}; proxies are at: {others}")
    capture = Capture.MARK if chosen.proxy is ProxyKind.SIDECAR else Capture.NONE
    return Proxy(
        kind=chosen.proxy,
        name=chosen.name,
        namespace=chosen.namespace,
        identity=chosen.identity,
        metric_labels=chosen.metric_labels,
        labels=chosen.labels,
        address=chosen.address,
        capture=capture,
    )


def _is_called(item: WorkloadInstance, name: str) -> bool:
    return name in (item.metric_labels.workload, item.metric_labels.app)


def explain_request(
    snapshot: MeshSnapshot, proxy: Proxy, request: Request, config: ProxyConfig | None = None
) -> Outcome:
    """What the proxy does with a request. A missing address is the one its host resolves to; a gateway's port is the
    one users see."""
    config = config or generate(snapshot, proxy, Memo())
    if proxy.kind is ProxyKind.GATEWAY:
        ports = {bound.server.port: bound.port for bound in bound_servers(snapshot, proxy)}
        return simulate(config, replace(request, port=ports.get(request.port, request.port)))
    if not request.address:
        address, service = address_of(snapshot, request.host, proxy.namespace)
        port = request.port or (service.ports[0].number if service and service.ports else 80)
        request = replace(request, address=address, port=port)
    return simulate(config, request)
