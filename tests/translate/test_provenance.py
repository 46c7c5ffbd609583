"""Every kind that shapes what a proxy has is found behind it, under the name its author gave it."""

from __future__ import annotations

import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import Proxy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.generate import generate
from kaiki.translate.provenance import Provenance, provenance

MESH = """
kind: Workload
metadata: {name: details, namespace: default}
spec: {ports: [{name: http, port: 80}, {name: tcp-lines, port: 9000}], versions: {v1: 1, v2: 1}}
---
kind: Proxy
metadata: {name: details-v1-abc-0, namespace: default}
spec: {labels: {app: details}}
---
kind: Proxy
metadata: {name: ingress-1, namespace: istio-system}
spec: {kind: gateway, labels: {istio: ingressgateway}}
---
kind: Proxy
metadata: {name: edge-1, namespace: default}
spec: {kind: gateway, labels: {gateway.networking.k8s.io/gateway-name: edge}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: default}
spec:
  hosts: [outside.example.org]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: machine}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside-too, namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [outside.example.org], ports: [{number: 81, name: http-b, protocol: HTTP}], resolution: STATIC}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: machine, namespace: default}
spec: {address: 10.200.0.1, labels: {app: machine}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: idle, namespace: default}
spec: {address: 10.200.0.2, labels: {app: idle}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: near, namespace: default}
spec: {workloadSelector: {labels: {app: details}}, egress: [{hosts: ["./*"]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: others, namespace: default}
spec: {workloadSelector: {labels: {app: others}}, egress: [{hosts: ["./*"]}]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: tags, namespace: default}
spec: {metrics: [{providers: [{name: prometheus}], overrides: [{tagOverrides: {x: {value: request.method}}}]}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: default}
spec: {selector: {matchLabels: {app: details}}, action: DENY, rules: [{to: [{operation: {paths: [/secret]}}]}]}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: threads, namespace: default, generation: 2, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {concurrency: 1}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: first, namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {host: details, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: second, namespace: default, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {host: details, subsets: [{name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details, namespace: default}
spec:
  hosts: [details]
  http: [{route: [{destination: {host: details, port: {number: 80}}}]}]
  tcp: [{route: [{destination: {host: details, port: {number: 9000}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example.org]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ends-tls, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 9443, name: tls, protocol: TLS}
    hosts: [b.example.org]
    tls: {mode: SIMPLE, serverCertificate: /pair/tls.crt, privateKey: /pair/tls.key}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside-tls, namespace: istio-system}
spec:
  hosts: [b.example.org]
  gateways: [ends-tls]
  tcp: [{route: [{destination: {host: details.default.svc.cluster.local, port: {number: 9000}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: in, namespace: default}
spec:
  ingressClassName: istio
  rules:
  - host: in.example.org
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: details, port: {number: 80}}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: istio
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: lines, port: 9000, protocol: TCP}
  - {name: pass, port: 443, protocol: TLS, hostname: t.example.org, tls: {mode: Passthrough}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: default}
spec: {parentRef: {name: edge}, listeners: [{name: more, port: 8080, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: pages, namespace: default}
spec: {parentRefs: [{name: edge, sectionName: http}], rules: [{backendRefs: [{name: details, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: default}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  hostnames: [grpc.example.org]
  rules: [{backendRefs: [{name: details, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: lines, namespace: default}
spec: {parentRefs: [{name: edge, sectionName: lines}], rules: [{backendRefs: [{name: details, port: 9000}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: sealed, namespace: default}
spec:
  parentRefs: [{name: edge, sectionName: pass}]
  hostnames: [t.example.org]
  rules: [{backendRefs: [{name: details, port: 9000}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: secured, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: details, sectionName: tcp-lines}]
  validation: {hostname: a.b, wellKnownCACertificates: System}
"""
DOCUMENTS = [one for one in yaml.safe_load_all(MESH) if one]
EVERYWHERE = {
    "ServiceEntry outside",
    "ServiceEntry outside-too",
    "WorkloadEntry machine",
    "DestinationRule first",
    "DestinationRule second",
    "BackendTLSPolicy secured",
}


def traced(name: str) -> tuple[MeshSnapshot, Proxy, Provenance]:
    objects = small_mesh.inputs(DOCUMENTS)
    snapshot = interpret(objects).snapshot
    proxy = next(one for one in small_mesh.proxies(DOCUMENTS) if one.name == name)
    return snapshot, proxy, provenance(snapshot, proxy, Memo())


def behind(name: str) -> set[str]:
    """What shapes a proxy, of the objects that somebody wrote."""
    snapshot, proxy, found = traced(name)
    config = generate(snapshot, proxy, Memo())
    references = {one for table in config.resources.values() for item in table.values() for one in found.behind(item)}
    written = {(one["kind"], one["metadata"]["name"]) for one in DOCUMENTS}
    kinds = {"KubernetesGateway": "Gateway"}
    # The entrance of all Ingresses is no object; the control plane tells of those that are.
    references = {one for one in references if one.name != "istio-autogenerated-k8s-ingress"}
    assert all((kinds.get(one.kind, one.kind), one.name) in written for one in references), references
    return {f"{one.kind} {one.name}" for one in (*references, *found.whole, *(one for one, _ in found.started_by))}


def test_a_sidecar() -> None:
    assert behind("details-v1-abc-0") == EVERYWHERE | {
        "VirtualService details",
        "Sidecar near",
        "Telemetry tags",
        "ProxyConfig threads",
        "PeerAuthentication strict",
        "AuthorizationPolicy deny",
    }


def test_a_gateway_of_istio_and_of_ingresses() -> None:
    assert behind("ingress-1") == EVERYWHERE | {
        "Gateway entry",
        "Gateway ends-tls",
        "VirtualService inside-tls",
        "Ingress in",
    }


def test_a_gateway_of_the_gateway_api() -> None:
    assert behind("edge-1") == EVERYWHERE | {
        "KubernetesGateway edge",
        "ListenerSet more",
        "HTTPRoute pages",
        "GRPCRoute calls",
        "TCPRoute lines",
        "TLSRoute sealed",
        "Telemetry tags",
    }


def test_a_policy_for_one_port_is_behind_the_clusters_of_that_port() -> None:
    snapshot, proxy, found = traced("edge-1")
    clusters = generate(snapshot, proxy, Memo()).resources["type.googleapis.com/envoy.config.cluster.v3.Cluster"]
    secured = {name for name, item in clusters.items() if any(one.name == "secured" for one in found.behind(item))}
    assert {name.split("|")[1] for name in secured} == {"9000"}


def test_a_proxy_has_a_proxy_config_if_it_was_started_with_it_as_it_is_now() -> None:
    for said, has_it in ((None, False), ("default/threads@1~2026-01-01T00:00:00Z", False)):
        assert started(said) == has_it
    assert started("default/threads@2~2026-01-01T00:00:00Z")


def started(said: str | None) -> bool:
    objects = dict(small_mesh.inputs(DOCUMENTS))
    key = "Pod", "default", "details-v1-abc-0"
    pod = objects[key]
    objects[key] = {**pod, "metadata": {**pod["metadata"], "annotations": {"kaiki.io/started-with": said}}}
    proxy = next(one for one in small_mesh.proxies(DOCUMENTS) if one.name == "details-v1-abc-0")
    ((_, has_it),) = provenance(interpret(objects).snapshot, proxy, Memo()).started_by
    return has_it
