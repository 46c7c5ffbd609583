# ruff: noqa: E501 (one case, one line)
"""What is found wrong with objects, against the mesh they are in."""

from __future__ import annotations

from typing import Any

import pytest
import small_mesh
import yaml

from kaiki.interpret.interpretation import check_object, interpret
from kaiki.model.finding import Severity

MESH = """
kind: Workload
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}]}
---
kind: Pod
metadata: {name: gateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, args: [--config-yaml, router~gateway]}]}
---
kind: Credential
metadata: {name: absent, namespace: istio-system}
version: ""
pairProblem: it does not exist
rootsProblem: it does not exist
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.org", "example.org"]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}
"""

MESH += """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: part, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {http: [{match: [{uri: {prefix: /b}}], route: [{destination: {host: reviews}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: whole, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {hosts: [whole.example.org], http: [{delegate: {name: part}}]}
"""

CASES = [
    ("Sidecar", "{egress: [{hosts: [reviews/x/y]}]}", "KAI2102", "spec.egress[0].hosts[0]"),
    ("Sidecar", "{egress: [{hosts: [./nobody.default.svc.cluster.local]}]}", "KAI2101", "spec.egress[0].hosts[0]"),
    ("Sidecar", "{workloadSelector: {labels: {app: nobody}}}", "KAI2105", "spec.workloadSelector"),
    ("Sidecar", "{ingress: [{port: {number: 80, protocol: HTTP, name: h}, defaultEndpoint: '10.0.0.1:80'}]}", "KAI2106", "spec.ingress[0].defaultEndpoint"),
    ("Sidecar", "{ingress: [{port: {number: 80}}, {port: {number: 80}}]}", "KAI2107", "spec.ingress[1].port"),
    ("Sidecar", "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: nobody.x}}}", "KAI2108", "spec.outboundTrafficPolicy.egressProxy.host"),
    ("Sidecar", "{egress: [{bind: 127.0.0.1, hosts: ['*/*']}]}", "KAI2109", "spec.egress[0].port"),
    ("Sidecar", "{egress: [{hosts: ['*/*']}, {port: {number: 80}, hosts: ['*/*']}]}", "KAI2110", "spec.egress[0].port"),
    ("Sidecar", "{ingress: [{port: {number: 80}, tls: {mode: SIMPLE}}]}", "KAI2111", "spec.ingress[0].tls"),
    ("VirtualService", "{hosts: [a], http: [{route: [{destination: {host: nobody}}]}]}", "KAI0201", "host"),
    ("VirtualService", "{hosts: [a], gateways: [nothing]}", "KAI0202", "spec.gateways[0]"),
    ("VirtualService", "{hosts: [a], gateways: [other/front]}", "KAI0202", "spec.gateways[0]"),
    ("VirtualService", "{hosts: [a], http: [{route: [{destination: {host: reviews, subset: v9}}]}]}", "KAI0203", "subset"),
    ("VirtualService", "{hosts: [a], http: [{route: [{destination: {host: reviews}, weight: 0}, {destination: {host: reviews}, weight: 0}]}]}", "KAI0204", "route"),
    ("VirtualService", "{hosts: [a], http: [{route: [{destination: {host: reviews, port: {number: 1}}}]}]}", "KAI0205", "port"),
    ("VirtualService", "{http: []}", "KAI0206", "spec.hosts"),
    ("VirtualService", "{hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}", "KAI0207", "spec.hosts[0]"),
    ("VirtualService", "{hosts: [a], http: [{redirect: {uri: /}}, {redirect: {uri: /b}}]}", "KAI0208", "spec.http[1]"),
    ("VirtualService", "{hosts: [a], http: [{name: empty}]}", "KAI0209", "spec.http[0]"),
    ("VirtualService", "{hosts: [example.com], gateways: [front], http: [{redirect: {uri: /}}]}", "KAI0210", "spec.gateways[0]"),
    ("VirtualService", "{hosts: [a], http: [{delegate: {name: nobody}}]}", "KAI0211", "spec.http[0].delegate"),
    ("VirtualService", "{hosts: [a], http: [{match: [{uri: {prefix: /a}}], delegate: {name: part}}]}", "KAI0212", "spec.http[0].delegate"),
    ("VirtualService", "{hosts: [a], http: [{match: [{uri: {prefix: /a}}], redirect: {uri: /}}, {match: [{uri: {exact: /a/b}, headers: {x: {exact: y}}}], redirect: {uri: /b}}]}", "KAI0213", "spec.http[1]"),
    ("WorkloadGroup", "{template: {address: 192.0.2.1}}", "KAI2205", "spec.template.address"),
    ("Sidecar", "{ingress: [{port: {number: 80}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k, credentialName: x}}]}", "KAI2112", "spec.ingress[0].tls.credentialName"),
    ("EnvoyFilter", "{targetRefs: [{kind: Service, name: a}]}", "KAI0702", "spec.targetRefs[0].kind"),
    ("DestinationRule", "{host: nobody}", "KAI0301", "spec.host"),
    ("DestinationRule", "{host: reviews}", "KAI0302", "spec.host"),
    ("DestinationRule", "{host: reviews, subsets: [{name: x}, {name: x}]}", "KAI0303", "spec.subsets[1]"),
    ("DestinationRule", "{host: reviews, subsets: [{name: x, labels: {version: v7}}]}", "KAI0304", "spec.subsets[0]"),
    ("Gateway", "{selector: {a: b}, servers: []}", "KAI0401", "spec.selector"),
    ("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: x, protocol: TCP}, hosts: ['*']}]}", "KAI0402", "port"),
    ("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}}]}", "KAI0403", "tls"),
    ("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: absent}}]}", "KAI0406", "credentialName"),
    ("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: other/one}}]}", "KAI0406", "credentialName"),
    ("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: unread, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2}}]}", "KAI0408", "minProtocolVersion"),
    ("ServiceEntry", "{hosts: [reviews.default.svc.cluster.local], resolution: DNS}", "KAI0501", "spec.hosts[0]"),
    ("ServiceEntry", "{hosts: ['*.example.org'], resolution: DNS}", "KAI0502", "spec.hosts[0]"),
    ("ServiceEntry", "{hosts: [a.org], addresses: [fe80::1]}", "KAI0503", "spec.addresses[0]"),
    ("ServiceEntry", "{hosts: ['*.a.org'], resolution: STATIC, endpoints: [{address: 192.0.2.1}], ports: [{number: 9, name: tcp, protocol: TCP}]}", "KAI0504", "spec.ports[0]"),
    ("ServiceEntry", "{hosts: [a.org], ports: [{number: 9, name: tcp, protocol: TCP}]}", "KAI0509", "spec.ports[0]"),
    ("ServiceEntry", "{hosts: [a.org], resolution: STATIC, workloadSelector: {labels: {app: nobody}}}", "KAI0508", "spec.workloadSelector"),
    ("ServiceEntry", "{hosts: ['*.a.org'], resolution: DYNAMIC_DNS, ports: [{number: 80, name: tcp}]}", "KAI0510", "spec.ports[0]"),
    ("ProxyConfig", "{image: {imageType: huge}}", "KAI2303", "spec.image.imageType"),
    ("WorkloadEntry", "{labels: {app: vm}}", "KAI2201", "spec.address"),
    ("WorkloadEntry", "{address: 'unix:///x'}", "KAI2202", "spec.address"),
    ("WorkloadEntry", "{address: vm.example.org}", "KAI2203", "spec.address"),
    ("ServiceEntry", "{hosts: [a.org], resolution: STATIC}", "KAI0505", "spec.endpoints"),
    ("ServiceEntry", "{hosts: [a.org], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: b.org}]}", "KAI0506", "spec.endpoints[0]"),
    ("ServiceEntry", "{hosts: [a.org], resolution: DNS_ROUND_ROBIN, endpoints: [{address: b.org}, {address: c.org}]}", "KAI0507", "spec.endpoints[1]"),
    ("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 1, name: x, protocol: SPDY}, hosts: ['*']}]}", "KAI0405", "protocol"),
]  # fmt: skip


def _documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MESH))


def _object(kind: str, spec: str) -> dict[str, Any]:
    metadata = {"name": "new", "namespace": "default", "creationTimestamp": "2024-02-01T00:00:00Z"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": yaml.safe_load(spec)}


def test_a_mesh_without_problems_has_no_findings() -> None:
    assert interpret(small_mesh.inputs(_documents())).findings == ()


@pytest.mark.parametrize(("kind", "spec", "code", "place"), CASES, ids=[f"{case[2]}-{case[0]}" for case in CASES])
def test_findings_are_the_same_at_admission_and_afterwards(kind: str, spec: str, code: str, place: str) -> None:
    new = _object(kind, spec)
    snapshot = interpret(small_mesh.inputs(_documents())).snapshot
    at_admission = check_object(new, snapshot)
    assert code in {finding.code for finding in at_admission}
    found = next(finding for finding in at_admission if finding.code == code)
    assert place in found.path
    assert found.severity in (Severity.WARNING, Severity.ERROR)
    assert found.message.endswith(".")
    afterwards = interpret(small_mesh.inputs([*_documents(), new])).findings
    assert set(at_admission) == {finding for finding in afterwards if finding.resource == found.resource}


def test_an_object_with_an_error_is_not_in_force_and_the_rest_is() -> None:
    broken = _object("VirtualService", "{hosts: [other], http: [{match: [{uri: {regex: '('}}]}]}")
    interpretation = interpret(small_mesh.inputs([*_documents(), broken]))
    (finding,) = interpretation.findings
    assert finding.severity is Severity.ERROR
    assert [item.source.name for item in interpretation.snapshot.virtual_services["mesh"]] == ["reviews", "whole"]


def test_a_gateway_of_the_gateway_api_is_somebody_elses() -> None:
    other = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g"}, "spec": {}}
    assert interpret(small_mesh.inputs([other])).findings == ()
    assert check_object(other, interpret({}).snapshot) == []


@pytest.mark.parametrize("text", ["[", "- a", "outboundTrafficPolicy: {mode: SOME}", "outboundTrafficPolicy: 1"])
def test_a_mesh_config_that_cannot_be_read_leaves_the_default_in_force(text: str) -> None:
    config = {"kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": text}}
    made = interpret(small_mesh.inputs([config]))
    assert [finding.code for finding in made.findings] == ["KAI0601"]
    assert not made.snapshot.settings.registry_only
