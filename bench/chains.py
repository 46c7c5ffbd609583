"""Two chains of the same pods, gateway → relay → backend: one of the mesh, one of Envoys configured by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench.certificates import certificates
from bench.mesh import TIMEOUT_SECONDS, KubernetesApi
from bench.processes import TITLE_VARIABLE

MESH, STATIC = "mesh", "static"
"""The chains, which are also their namespaces."""
Object = dict[str, Any]
PORT = 8080
IDENTITY = f"spiffe://cluster.local/ns/{STATIC}/sa/default"


def ready_chains(api: KubernetesApi) -> dict[str, str]:
    """Deploy both and wait until all is ready; each chain's address for a pod."""
    wait_for(api, "istio-system", ("istiod", "istio-ingressgateway"))
    deploy_mesh_chain(api)
    wait_for(api, MESH, ("relay", "backend"))
    deploy_static_chain(api)
    wait_for(api, STATIC, ("gateway", "relay", "backend"))
    gateways = {
        MESH: only_pod(api, "istio-system", "istio-ingressgateway"),
        STATIC: only_pod(api, STATIC, "gateway"),
    }
    return {name: f"http://{pod['status']['podIP']}:{PORT}/" for name, pod in gateways.items()}


def deploy_mesh_chain(api: KubernetesApi) -> None:
    """Relay and backend with injected sidecars, and a route at the installed gateway."""
    api.request("POST", "/api/v1/namespaces", namespace(MESH, {"istio-injection": "enabled"}))
    for name in ("relay", "backend"):
        create(api, service(MESH, name, headless=False))
    for name in ("relay", "backend"):
        create(api, deployment(MESH, name, {"containers": [application(MESH, name)]}))
    networking = f"/apis/networking.istio.io/v1/namespaces/{MESH}"
    server = {"port": {"number": PORT, "name": "http", "protocol": "HTTP"}, "hosts": ["relay.bench"]}
    create_at(api, f"{networking}/gateways", "Gateway", {"selector": {"istio": "ingressgateway"}, "servers": [server]})
    route = {"route": [{"destination": {"host": "relay", "port": {"number": PORT}}}]}
    spec = {"hosts": ["relay.bench"], "gateways": ["bench"], "http": [route]}
    create_at(api, f"{networking}/virtualservices", "VirtualService", spec)


def deploy_static_chain(api: KubernetesApi) -> None:
    """The same pods, their proxies the mesh's containers with another configuration."""
    api.request("POST", "/api/v1/namespaces", namespace(STATIC, {}))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certificates", "namespace": STATIC}}
    api.request("POST", f"/api/v1/namespaces/{STATIC}/secrets", {**secret, "stringData": certificates(IDENTITY)})
    for name in ("relay", "backend"):
        injected = only_pod(api, MESH, name)["spec"]
        redirect = next(one for one in injected["initContainers"] if one["name"] == "istio-init")
        proxy = next(one for one in injected["initContainers"] if one["name"] == "istio-proxy")
        containers = [static_proxy(proxy, f"{name}-sidecar"), application(STATIC, name)]
        # Addresses of pods, as a sidecar of the mesh has them.
        create(api, service(STATIC, name, headless=True))
        create(api, deployment(STATIC, name, {"initContainers": [without_mounts(redirect)], "containers": containers}))
    proxy = only_pod(api, "istio-system", "istio-ingressgateway")["spec"]["containers"][0]
    create(api, deployment(STATIC, "gateway", {"containers": [static_proxy(proxy, "gateway")]}))


def static_proxy(proxy: Object, name: str) -> Object:
    """A proxy's container of the mesh with a configuration of `envoy/` and its own certificates."""
    kept = {key: proxy[key] for key in ("image", "securityContext", "resources") if key in proxy}
    return {
        **kept,
        "name": "proxy",
        "args": ["--config-yaml", configuration(name), *proxy["args"][2:]],
        "env": [{"name": TITLE_VARIABLE, "value": f"{STATIC} {name.replace('-', ' ')}"}],
        "volumeMounts": [{"name": "certificates", "mountPath": "/etc/bench", "readOnly": True}],
    }


def without_mounts(container: Object) -> Object:
    return {key: value for key, value in container.items() if key != "volumeMounts"}


def application(chain: str, name: str) -> Object:
    """A container whose program is an Envoy too: the cheapest application there is here."""
    arguments = ["--config-yaml", configuration(f"{name}-application"), "--concurrency", "2", "--disable-hot-restart"]
    return {
        "name": name,
        "image": "envoyproxy/envoy:v1.40.0",
        "args": [*arguments, "-l", "warning"],
        "env": [{"name": TITLE_VARIABLE, "value": f"{chain} {name} application"}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }


def configuration(name: str) -> str:
    """A file of `envoy/`."""
    return (Path(__file__).parent / "envoy" / f"{name}.yaml").read_text()


def namespace(name: str, labels: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def service(chain: str, name: str, headless: bool) -> Object:
    ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
    spec = {"selector": {"app": name}, "ports": ports, **({"clusterIP": "None"} if headless else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": chain}, "spec": spec}


def deployment(chain: str, name: str, spec: Object) -> Object:
    """One replica of a pod; the volume with certificates where the chain is the static one."""
    labels = {"app": name, "version": "v1"}
    if chain == STATIC:
        labels |= {"sidecar.istio.io/inject": "false"}
        spec = {**spec, "volumes": [{"name": "certificates", "secret": {"secretName": "certificates"}}]}
    template = {"metadata": {"labels": labels}, "spec": {**spec, "terminationGracePeriodSeconds": 1}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": chain},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def pod_of(name: str, labels: dict[str, str], spec: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def create(api: KubernetesApi, obj: Object) -> None:
    """Create a Service or a Deployment."""
    group = "/api/v1" if obj["kind"] == "Service" else "/apis/apps/v1"
    api.request("POST", f"{group}/namespaces/{obj['metadata']['namespace']}/{obj['kind'].lower()}s", obj)


def create_at(api: KubernetesApi, path: str, kind: str, spec: Object) -> None:
    """Create one of Istio's objects, named `bench`."""
    metadata = {"name": "bench", "namespace": MESH}
    api.request(
        "POST", path, {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    )


def only_pod(api: KubernetesApi, chain: str, app: str) -> Object:
    """The pod with that label `app`."""
    pods: list[Object] = api.request("GET", f"/api/v1/namespaces/{chain}/pods?labelSelector=app%3D{app}")["items"]
    return pods[0]


def wait_for(api: KubernetesApi, chain: str, names: tuple[str, ...]) -> None:
    """Wait until Deployments are available."""
    deadline = time.perf_counter() + TIMEOUT_SECONDS
    for name in names:
        path = f"/apis/apps/v1/namespaces/{chain}/deployments/{name}"
        while not (api.find(path) or {}).get("status", {}).get("availableReplicas"):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"Deployment {chain}/{name} is not available after {TIMEOUT_SECONDS:.0f} s")
            time.sleep(0.2)
