"""The Gateway API's status and precedence, object by object; what proxies get is in the golden cases of translation."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from small_mesh import inputs

from kaiki.interpret.gateway_api.interpretation import GatewayApi
from kaiki.interpret.interpretation import Interpretation, check_object, interpret

MESH = """
kind: Workload
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 8080}]}
---
kind: Workload
metadata: {name: ledger, namespace: bank}
spec: {ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank, labels: {team: money}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio, generation: 3}
spec: {controllerName: istio.io/gateway-controller}
---
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop, generation: 7}
spec:
  gatewayClassName: istio
  listeners: LISTENERS
"""
ROUTE = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: one, namespace: shop, generation: 2}
spec: SPEC
"""
HTTP = "[{name: http, port: 80, protocol: HTTP}]"


def interpreted(text: str) -> Interpretation:
    return interpret(inputs([one for one in yaml.safe_load_all(MESH + text) if one]))


def statuses(text: str) -> GatewayApi:
    return interpreted(text).gateway_api


def gateway(listeners: str = HTTP) -> str:
    return GATEWAY.replace("LISTENERS", listeners)


def route(spec: str) -> str:
    return ROUTE.replace("SPEC", spec)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def of_route(text: str, kind: str = "HTTPRoute") -> list[dict[str, tuple[str, str]]]:
    status = statuses(text).statuses[kind, "shop", "one"]
    return [conditions(parent) for parent in status["parents"]]


def of_gateway(text: str) -> dict[str, Any]:
    return statuses(text).statuses["KubernetesGateway", "shop", "web"]


def test_a_class_of_ours_says_what_is_supported() -> None:
    status = statuses("").statuses["GatewayClass", "", "istio"]
    assert conditions(status) == {"Accepted": ("True", "Accepted")}
    assert status["conditions"][0]["observedGeneration"] == 3
    names = [one["name"] for one in status["supportedFeatures"]]
    assert names == sorted(names) and "HTTPRoute" in names


def test_a_gateway_waits_for_its_pods_and_counts_its_routes() -> None:
    text = gateway() + route("{parentRefs: [{name: web}], rules: [{backendRefs: [{name: cart, port: 8080}]}]}")
    status = of_gateway(text)
    assert conditions(status) == {"Accepted": ("True", "Accepted"), "Programmed": ("False", "AddressNotAssigned")}
    (listener,) = status["listeners"]
    assert listener["attachedRoutes"] == 1
    assert [one["kind"] for one in listener["supportedKinds"]] == ["HTTPRoute", "GRPCRoute"]
    assert {one["observedGeneration"] for one in listener["conditions"]} == {7}
    assert of_route(text) == [{"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}]
    (wanted,) = statuses(text).deployments
    assert (wanted.namespace, wanted.name, wanted.ports) == ("shop", "web-istio", (("http-80", 80),))


def test_a_gateway_is_programmed_when_its_service_has_an_address_and_a_pod_is_ready() -> None:
    text = (
        gateway()
        + """
---
apiVersion: v1
kind: Service
metadata: {name: web-istio, namespace: shop}
spec: {type: LoadBalancer, clusterIP: 10.96.0.9, selector: {gateway.networking.k8s.io/gateway-name: web}, ports: []}
status: {loadBalancer: {ingress: [{ip: 192.0.2.7}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, uid: u, labels: {gateway.networking.k8s.io/gateway-name: web}}
spec: {containers: [{name: istio-proxy, args: ['{"id": "router~$(POD_IP)"}']}]}
status: {podIP: 10.97.0.9, conditions: [{type: Ready, status: "True"}]}
"""
    )
    status = of_gateway(text)
    assert conditions(status)["Programmed"] == ("True", "Programmed")
    assert status["addresses"] == [{"type": "IPAddress", "value": "192.0.2.7"}]


@pytest.mark.parametrize(
    ("asked", "service", "expected"),
    [
        ("{type: IPAddress, value: 192.0.2.7}", "ingress: [{ip: 192.0.2.7}]", ("True", "Programmed")),
        ("{type: IPAddress, value: 192.0.2.8}", "ingress: [{ip: 192.0.2.7}]", ("False", "AddressNotUsable")),
        ("{type: IPAddress, value: 192.0.2.8}", "ingress: []", ("False", "AddressNotUsable")),
        ("{type: IPAddress}", "ingress: [{ip: 192.0.2.7}]", ("True", "Programmed")),
        ("{type: Hostname, value: www.a.org}", "ingress: [{hostname: www.a.org}]", ("True", "Programmed")),
        ("{type: Hostname, value: www.b.org}", "ingress: [{hostname: www.a.org}]", ("False", "AddressNotUsable")),
        ("{type: Hostname, value: lost.shop.svc}", "ingress: []", ("False", "AddressNotUsable")),
        ("{type: example.com/strange, value: x}", "ingress: [{ip: 192.0.2.7}]", ("False", "Invalid")),
    ],
)
def test_addresses_a_gateway_asks_for(asked: str, service: str, expected: tuple[str, str]) -> None:
    text = gateway().replace("listeners:", f"addresses: [{asked}]\n  listeners:") + READY.replace("INGRESS", service)
    status = of_gateway(text)
    assert conditions(status)["Programmed"] == expected
    accepted = ("False", "UnsupportedAddress") if "strange" in asked else ("True", "Accepted")
    assert conditions(status)["Accepted"] == accepted


READY = """
---
apiVersion: v1
kind: Service
metadata: {name: web-istio, namespace: shop}
spec: {type: LoadBalancer, clusterIP: 10.96.0.9, selector: {gateway.networking.k8s.io/gateway-name: web}, ports: []}
status: {loadBalancer: {INGRESS}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, uid: u, labels: {gateway.networking.k8s.io/gateway-name: web}}
spec: {containers: [{name: istio-proxy, args: ['{"id": "router~$(POD_IP)"}']}]}
status: {podIP: 10.97.0.9, conditions: [{type: Ready, status: "True"}]}
"""


def test_a_route_says_why_no_listener_takes_it() -> None:
    listeners = """[{name: a, port: 80, protocol: HTTP, hostname: a.org},
    {name: b, port: 81, protocol: HTTP, allowedRoutes: {namespaces: {from: None}}},
    {name: c, port: 82, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}]"""
    parents = """{hostnames: [x.org], parentRefs: [{name: web, sectionName: a}, {name: web, sectionName: b},
    {name: web, sectionName: c}, {name: web, sectionName: d}, {name: web, port: 83}, {name: elsewhere}]}"""
    found = of_route(gateway(listeners) + route(parents))
    assert [one["Accepted"][1] for one in found] == [
        "NoMatchingListenerHostname",
        "NotAllowedByListeners",
        "NotAllowedByListeners",
        "NoMatchingParent",
        "NoMatchingParent",
    ]


def test_routes_come_from_the_namespaces_a_listener_selects() -> None:
    allowed = "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: money}}}}"
    spec = "{parentRefs: [{name: web, namespace: shop}]}"
    text = gateway(f"[{{name: http, port: 80, protocol: HTTP, {allowed}}}]")
    ours, theirs = route(spec), route(spec).replace("namespace: shop, gen", "namespace: bank, gen")
    found = statuses(text + ours + theirs).statuses
    assert conditions(found["HTTPRoute", "shop", "one"]["parents"][0])["Accepted"] == ("False", "NotAllowedByListeners")
    assert conditions(found["HTTPRoute", "bank", "one"]["parents"][0])["Accepted"] == ("True", "Accepted")


def test_backends_that_cannot_be_used_are_named() -> None:
    def reason(backend: str) -> tuple[str, str]:
        text = gateway() + route(f"{{parentRefs: [{{name: web}}], rules: [{{backendRefs: [{backend}]}}]}}")
        (found,) = of_route(text)
        assert found["Accepted"] == ("True", "Accepted")
        return found["ResolvedRefs"]

    assert reason("{name: nobody, port: 80}") == ("False", "BackendNotFound")
    assert reason("{name: cart, port: 81}") == ("False", "BackendNotFound")
    assert reason("{kind: Bucket, name: cart}") == ("False", "InvalidKind")
    assert reason("{name: ledger, namespace: bank, port: 8080}") == ("False", "RefNotPermitted")
    assert reason("{name: cart, port: 8080}") == ("True", "ResolvedRefs")


def test_a_filter_that_is_not_known_fails_its_requests_and_is_named() -> None:
    rule = "{filters: [{type: ExtensionRef}], backendRefs: [{name: cart, port: 8080}]}"
    spec = f"{{parentRefs: [{{name: web}}], rules: [{rule}]}}"
    found = interpreted(gateway() + route(spec))
    assert conditions(found.gateway_api.statuses["HTTPRoute", "shop", "one"]["parents"][0])["Accepted"] == (
        "False",
        "UnsupportedValue",
    )


def test_listeners_say_what_is_wrong_with_them() -> None:
    listeners = """[{name: udp, port: 53, protocol: UDP},
    {name: plain, port: 80, protocol: HTTP},
    {name: tls, port: 80, protocol: HTTPS, tls: {certificateRefs: [{name: x}]}},
    {name: missing, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: nope}]}},
    {name: foreign, port: 444, protocol: HTTPS, tls: {certificateRefs: [{name: nope, namespace: bank}]}},
    {name: kinds, port: 82, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: Nothing}]}}]"""
    status = of_gateway(gateway(listeners))
    found = {one["name"]: conditions(one) for one in status["listeners"]}
    assert found["udp"]["Accepted"] == ("False", "UnsupportedProtocol")
    assert found["plain"]["Conflicted"] == found["tls"]["Conflicted"] == ("True", "ProtocolConflict")
    assert found["missing"]["ResolvedRefs"] == ("False", "InvalidCertificateRef")
    assert found["foreign"]["ResolvedRefs"] == ("False", "RefNotPermitted")
    assert found["foreign"]["Programmed"] == ("False", "Invalid")
    assert found["kinds"]["ResolvedRefs"] == ("False", "InvalidRouteKinds")
    assert [one["kind"] for one in status["listeners"][5]["supportedKinds"]] == ["HTTPRoute"]
    assert conditions(status)["Accepted"] == ("True", "ListenersNotValid")


def test_a_listener_set_attaches_only_where_its_gateway_lets_it() -> None:
    added = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: shop}
spec:
  parentRef: {name: web}
  listeners: [{name: http, port: 80, protocol: HTTP}, {name: other, port: 8081, protocol: HTTP}]
"""
    shut = statuses(gateway() + added).statuses["ListenerSet", "shop", "more"]
    assert conditions(shut)["Accepted"] == ("False", "NotAllowed")
    opened = gateway().replace("listeners:", "allowedListeners: {namespaces: {from: Same}}\n  listeners:")
    spec = "{parentRefs: [{kind: ListenerSet, name: more, sectionName: other}]}"
    found = statuses(opened + added + route(spec))
    status = found.statuses["ListenerSet", "shop", "more"]
    assert conditions(status)["Accepted"] == ("True", "ListenersNotValid")
    first, second = status["listeners"]
    assert conditions(first)["Conflicted"] == ("True", "HostnameConflict")
    assert second["attachedRoutes"] == 1
    assert found.statuses["KubernetesGateway", "shop", "web"]["attachedListenerSets"] == 1
    assert found.deployments[0].ports == (("http-80", 80), ("http-8081", 8081))


def test_the_most_special_match_comes_first_whoever_wrote_it() -> None:
    old = """{parentRefs: [{name: web}], rules: [{matches: [{path: {value: /a}}, {path: {value: /a/b/}}]},
    {matches: [{path: {value: /a}, method: GET}, {path: {type: Exact, value: /x}}]}]}"""
    new = """{parentRefs: [{name: web}], rules: [{matches: [{path: {value: /a}, headers: [{name: h, value: v}]},
    {path: {type: RegularExpression, value: "/y.*"}}, {path: {value: /a}}]}]}"""
    text = gateway() + route(old) + route(new).replace("name: one", "name: two")
    (service,) = interpreted(text).snapshot.virtual_services["shop/web-istio-autogenerated-k8s-gateway-http"]
    assert [(one.source.name, one.matches[0].uri.value if one.matches[0].uri else "") for one in service.http] == [
        ("one", "/x"),
        ("two", "/y.*"),
        ("one", "/a/b"),
        ("one", "/a"),
        ("two", "/a"),
        ("one", "/a"),
        ("two", "/a"),
    ]


def test_a_wider_listener_does_not_answer_for_a_more_special_one() -> None:
    listeners = "[{name: any, port: 80, protocol: HTTP}, {name: a, port: 80, protocol: HTTP, hostname: a.org}]"
    spec = "{parentRefs: [{name: web, sectionName: any}], hostnames: [a.org, b.org]}"
    routes = interpreted(gateway(listeners) + route(spec)).snapshot.virtual_services
    hosts = {name.rsplit("-", 1)[1]: [one.hosts for one in items] for name, items in routes.items()}
    assert hosts == {"any": [("b.org",)], "a": [("a.org",)]}


def test_routes_of_services_are_for_their_namespace_or_for_all() -> None:
    spec = "{parentRefs: [{group: '', kind: Service, name: ledger, namespace: bank}]}"
    found = interpreted(route(spec) + route(spec).replace("namespace: shop, gen", "namespace: bank, gen"))
    consumer, producer = found.snapshot.virtual_services["mesh"]
    assert (consumer.export_to, producer.export_to) == (("shop",), ("*",))
    assert of_route(route(spec.replace("ledger", "nobody")))[0]["Accepted"] == ("False", "NoMatchingParent")


def test_of_two_policies_for_a_service_the_older_counts() -> None:
    policy = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: NAME, namespace: shop, creationTimestamp: "2026-01-0DAYT00:00:00Z"}
spec: {targetRefs: [{group: "", kind: Service, name: cart}], validation: VALIDATION}
"""
    roots = "{hostname: cart.org, caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]}"
    old = policy.replace("NAME", "old").replace("DAY", "1").replace("VALIDATION", roots)
    new = policy.replace("NAME", "new").replace("DAY", "2").replace("VALIDATION", roots)
    text = gateway() + route("{parentRefs: [{name: web}], rules: [{backendRefs: [{name: cart, port: 8080}]}]}")
    found = statuses(text + old + new)
    assert found.config_maps == {("shop", "roots")}
    first = found.statuses["BackendTLSPolicy", "shop", "old"]["ancestors"][0]
    assert conditions(first) == {
        "Accepted": ("False", "NoValidCACertificate"),
        "ResolvedRefs": ("False", "InvalidCACertificateRef"),
    }
    second = found.statuses["BackendTLSPolicy", "shop", "new"]["ancestors"][0]
    assert conditions(second)["Accepted"] == ("False", "Conflicted")
    assert of_route(text + old)[0]["ResolvedRefs"] == ("False", "BackendNotFound")


def test_what_did_not_change_is_the_same_object() -> None:
    text = gateway() + route("{parentRefs: [{name: web}], rules: [{backendRefs: [{name: cart, port: 8080}]}]}")
    documents = [one for one in yaml.safe_load_all(MESH + text) if one]
    first = interpret(inputs(documents))
    before = first.snapshot
    after = interpret(inputs(documents), first).snapshot
    name = "shop/web-istio-autogenerated-k8s-gateway-http"
    assert before.virtual_services[name][0] is after.virtual_services[name][0]
    assert before.gateways[0] is after.gateways[0]


def test_ingresses_lead_through_the_installations_gateway() -> None:
    added = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: one, namespace: shop}
spec:
  ingressClassName: istio
  tls: [{hosts: [a.org], secretName: pair}]
  defaultBackend: {service: {name: cart, port: {name: http}}}
  rules: [{host: a.org, http: {paths: [
    {path: /x/, pathType: Prefix, backend: {service: {name: cart, port: {number: 8080}}}},
    {path: /x, pathType: Exact, backend: {service: {name: cart, port: {number: 8080}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, namespace: shop}
spec: {ingressClassName: nginx, defaultBackend: {service: {name: cart, port: {number: 8080}}}}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {clusterIP: 10.96.0.3, ports: []}
status: {loadBalancer: {ingress: [{ip: 127.0.0.1, ipMode: Proxy}]}}
"""
    found = interpreted(added)
    items = found.snapshot.virtual_services["istio-system/istio-autogenerated-k8s-ingress"]
    assert [one.hosts for one in items] == [("*",), ("a.org",)]
    uris = [route.matches[0].uri for route in items[1].http]
    assert [(uri.kind.value, uri.value) for uri in uris if uri] == [
        ("exact", "/x"),
        ("path prefix", "/x"),
        ("path prefix", "/"),
    ]
    (gateway,) = found.snapshot.gateways
    assert [(one.protocol, one.hosts[0].host) for one in gateway.servers] == [("HTTP", "*"), ("HTTPS", "a.org")]
    assert found.gateway_api.statuses == {
        ("GatewayClass", "", "istio"): found.gateway_api.statuses["GatewayClass", "", "istio"],
        ("Ingress", "shop", "one"): {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
    }


def test_what_the_status_would_say_is_said_at_admission() -> None:
    def warnings(text: str, stored: str = "") -> list[tuple[str, str]]:
        documents = inputs([one for one in yaml.safe_load_all(MESH + gateway() + stored) if one])
        (obj,) = (one for one in yaml.safe_load_all(text) if one)
        found = check_object(obj, interpret(documents).snapshot, documents)
        assert all(finding.code == "KAI0901" and finding.hint for finding in found)
        return [(finding.path, finding.message.partition(":")[0]) for finding in found]

    good = "{parentRefs: [{name: web}], rules: [{backendRefs: [{name: cart, port: 8080}]}]}"
    assert warnings(route(good)) == warnings(route(good), route(good)) == []
    missing = good.replace("cart", "nobody")
    assert warnings(route(missing)) == [("spec.parentRefs[0]", "BackendNotFound")]
    assert warnings(route(missing), route(good)) == [("spec.parentRefs[0]", "BackendNotFound")]
    nowhere = warnings(route(good.replace("name: web", "name: nowhere")))
    assert [path for path, _ in nowhere] == ["spec.parentRefs"]
    assert warnings(gateway("[{name: udp, port: 53, protocol: UDP}]")) == [
        ("spec", "ListenersNotValid"),
        ("spec.listeners[udp]", "UnsupportedProtocol"),
    ]
    assert warnings(gateway()) == []


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("gateway.networking.k8s.io/v1", "UDPRoute"),
        ("gateway.networking.x-k8s.io/v1alpha1", "XBackend"),
        ("gateway.networking.x-k8s.io/v1alpha1", "XBackendTrafficPolicy"),
        ("gateway.networking.x-k8s.io/v1alpha1", "XMesh"),
    ],
)
def test_a_kind_nothing_acts_on_says_so(version: str, kind: str) -> None:
    metadata = {"name": "idle", "namespace": "shop"}
    documents = inputs(document for document in yaml.safe_load_all(MESH) if document)
    obj = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {}}
    (finding,) = check_object(obj, interpret(documents).snapshot, documents)
    assert finding.code == "KAI0902" and kind in finding.message and finding.hint
