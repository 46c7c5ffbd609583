# ruff: noqa: E501 (one feature, one line where it fits)
"""Every feature of the Gateway API that a GatewayClass says is supported, by the specification's name, shown to work.

What a request comes to is simulated on the generated resources of a gateway pod, or of a client's sidecar (`Mesh…`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import readable
import small_mesh
import yaml

from kaiki.interpret.credentials import shared_credentials, wanted_credentials
from kaiki.interpret.gateway_api.features import SUPPORTED, UNSUPPORTED
from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE, ProxyConfig
from kaiki.translate.generate import generate
from kaiki.translate.simulation import Outcome, Request, Verdict, address_of, simulate

ROOT = Path(__file__).parents[2]
MESH = """
kind: Proxy
metadata: {name: web-istio-1, namespace: shop}
spec: {kind: gateway, labels: {gateway.networking.k8s.io/gateway-name: web}}
---
kind: Proxy
metadata: {name: client, namespace: shop}
spec: {labels: {app: client}}
---
kind: Workload
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 8080}, {name: web, appProtocol: kubernetes.io/ws, port: 8081}, {name: two, appProtocol: kubernetes.io/h2c, port: 8082}, {name: tcp, port: 9000}]}
---
kind: Workload
metadata: {name: copy, namespace: shop}
spec: {ports: [{name: http, port: 8080}]}
---
kind: Workload
metadata: {name: ledger, namespace: bank}
spec: {ports: [{name: http, port: 8080}]}
---
{kind: Credential, metadata: {name: pair, namespace: shop}, version: "1", pairProblem: "", rootsProblem: it has no ca.crt}
---
{kind: TrustBundle, metadata: {name: roots, namespace: shop}, data: {ca.crt: "-----BEGIN CERTIFICATE-----\\nx\\n-----END CERTIFICATE-----"}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
"""
HTTP = "[{name: http, port: 80, protocol: HTTP}]"
HTTPS = "{name: NAME, port: 443, protocol: HTTPS, hostname: HOST, tls: {certificateRefs: [{name: pair}]}}"
CART = "backendRefs: [{name: cart, port: 8080}]"


def _object(kind: str, name: str, spec: str, namespace: str = "shop") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "generation": 1}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": yaml.safe_load(spec),
    }


class Tried:
    """A mesh with a Gateway and one route; `at` sends a request through the gateway, `inside` from the client."""

    def __init__(self, *rules: str, kind: str = "HTTPRoute", listeners: str = HTTP, parent: str = "name: web", gateway: str = "", hosts: str = "", more: tuple[dict[str, Any], ...] = ()) -> None:  # fmt: skip
        hostnames = f"hostnames: {hosts}, " if hosts else ""
        text = f"{{parentRefs: [{{{parent}}}], {hostnames}rules: [{', '.join(f'{{{rule}}}' for rule in rules or (CART,))}]}}"
        own = _object("Gateway", "web", f"{{gatewayClassName: istio, {gateway}listeners: {listeners}}}")
        documents = [*yaml.safe_load_all(MESH), own, _object(kind, "one", text), *more]
        self.interpretation: Interpretation = interpret(small_mesh.inputs(documents))
        snapshot, memo = self.interpretation.snapshot, Memo()
        self.gateway, self.client = (generate(snapshot, proxy, memo) for proxy in small_mesh.proxies(documents))

    def at(self, path: str = "/", host: str = "a.org", port: int = 80, **more: Any) -> Outcome:
        return simulate(self.gateway, Request(host, port, path, **more))

    def inside(self, path: str = "/", host: str = "cart", port: int = 8080, **more: Any) -> Outcome:
        address = address_of(self.interpretation.snapshot, host, "shop")[0]
        return simulate(self.client, Request(host, port, path, address=address, **more))

    def status(self, kind: str, name: str) -> dict[str, Any]:
        return self.interpretation.gateway_api.statuses[kind, "shop", name]


def text_of(config: ProxyConfig, *types: str) -> str:
    readable.load_types()
    return json.dumps([readable.as_document(item) for kind in types for item in config.of(kind).values()])


def _is_cart(outcome: Outcome, port: int = 8080) -> bool:
    return outcome.verdict is Verdict.FORWARDED and outcome.cluster == f"outbound|{port}||cart.shop.svc.cluster.local"


def _redirect(rule: str) -> Outcome:
    return Tried(f"filters: [{{type: RequestRedirect, requestRedirect: {{{rule}}}}}]").at("/old/x")


def _mesh(*rules: str, **more: Any) -> Tried:
    return Tried(*rules, parent="group: '', kind: Service, name: cart", **more)


def _mesh_redirect(rule: str) -> Outcome:
    return _mesh(f"filters: [{{type: RequestRedirect, requestRedirect: {{{rule}}}}}]").inside("/old/x")


def _matching(match: str) -> str:
    return f"matches: [{{{match}}}], {CART}"


def _https(*hosts: str) -> str:
    return f"[{', '.join(HTTPS.replace('NAME', f'n{n}').replace('HOST', repr(host)) for n, host in enumerate(hosts))}]"


def _mirrors(*filters: str) -> tuple[tuple[str, float], ...]:
    target = "backendRef: {name: copy, port: 8080}"
    items = ", ".join(f"{{type: RequestMirror, requestMirror: {{{target}{one}}}}}" for one in filters)
    return Tried(f"filters: [{items}], {CART}").at().mirrors


def gateway() -> None:
    listener = Tried().status("KubernetesGateway", "web")["listeners"][0]
    assert listener["attachedRoutes"] == 1
    assert Tried().at(port=81).verdict is Verdict.REFUSED


def http_route() -> None:
    tried = Tried(_matching("path: {value: /a}"), hosts="[a.org]")
    assert _is_cart(tried.at("/a/b")) and tried.at("/b").status == 404 and tried.at("/a", "b.org").status == 404
    assert Tried("backendRefs: [{name: nobody, port: 1}]").at().status == 500
    split = Tried("backendRefs: [{name: cart, port: 8080, weight: 3}, {name: copy, port: 8080}]").at().clusters
    assert [share.weight for share in split] == [3, 1]


def grpc_route() -> None:
    tried = Tried(_matching("method: {service: shop.Cart, method: Add}"), kind="GRPCRoute")
    assert _is_cart(tried.at("/shop.Cart/Add")) and tried.at("/shop.Cart/Remove").status == 404


def tls_route() -> None:
    listeners = "[{name: tls, port: 443, protocol: TLS, hostname: '*.org', tls: {mode: Passthrough}}]"
    tried = Tried(kind="TLSRoute", listeners=listeners, hosts="[a.org]")
    assert _is_cart(tried.at(port=443, server_name="a.org", http=False))
    assert tried.at(port=443, server_name="b.org", http=False).verdict is Verdict.REFUSED


def tls_ended() -> None:
    listeners = "[{name: tls, port: 443, protocol: TLS, hostname: a.org, tls: {certificateRefs: [{name: pair}]}}]"
    tried = Tried(kind="TLSRoute", listeners=listeners, hosts="[a.org]")
    outcome = tried.at(port=443, server_name="a.org", http=False)
    assert _is_cart(outcome) and any(step.code == "chainEndsTls" for step in outcome.steps)


def tls_mixed() -> None:
    ended = "{name: ends, port: 443, protocol: TLS, hostname: a.org, tls: {certificateRefs: [{name: pair}]}}"
    passed = "{name: passes, port: 443, protocol: TLS, hostname: b.org, tls: {mode: Passthrough}}"
    tried = Tried(kind="TLSRoute", listeners=f"[{ended}, {passed}]", hosts="[a.org, b.org]")
    steps = {host: tried.at(port=443, server_name=host, http=False).steps for host in ("a.org", "b.org")}
    assert {host: any(step.code == "chainEndsTls" for step in found) for host, found in steps.items()} == {"a.org": True, "b.org": False}  # fmt: skip


def tcp_route() -> None:
    tried = Tried(
        "backendRefs: [{name: cart, port: 9000}]", kind="TCPRoute", listeners="[{name: tcp, port: 9000, protocol: TCP}]"
    )
    assert _is_cart(tried.at(port=9000, http=False), 9000)


def reference_grant() -> None:
    rule = "backendRefs: [{name: ledger, namespace: bank, port: 8080}]"
    grant = "{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: '', kind: Service}]}"
    assert Tried(rule).at().status == 500
    assert (
        Tried(rule, more=(_object("ReferenceGrant", "g", grant, "bank"),))
        .at()
        .cluster.endswith("ledger.bank.svc.cluster.local")
    )


def _backend_tls(names: str = "") -> str:
    target = "targetRefs: [{group: '', kind: Service, name: cart}]"
    policy = f"{{{target}, validation: {{hostname: cart.org, wellKnownCACertificates: System{names}}}}}"
    return text_of(Tried(more=(_object("BackendTLSPolicy", "p", policy),)).gateway, CLUSTER_TYPE)


def backend_tls() -> None:
    assert '"sni": "cart.org"' in _backend_tls() and '"exact": "cart.org"' in _backend_tls()


def backend_names() -> None:
    assert '"exact": "spiffe://a/b"' in _backend_tls(", subjectAltNames: [{type: URI, uri: 'spiffe://a/b'}]")


def address_empty() -> None:
    (wanted,) = Tried(gateway="addresses: [{type: IPAddress}], ").interpretation.gateway_api.deployments
    assert wanted.name == "web-istio"


def static_addresses() -> None:
    asked = "addresses: [{type: IPAddress, value: 192.0.2.7}, {value: 192.0.2.8}], "
    (wanted,) = Tried(gateway=asked).interpretation.gateway_api.deployments
    assert wanted.addresses == ("192.0.2.7", "192.0.2.8")

    def programmed(balancer: str, external: str = "[]") -> tuple[str, str]:
        spec = {"type": "LoadBalancer", "ports": [], "externalIPs": yaml.safe_load(external)}
        status = {"loadBalancer": {"ingress": yaml.safe_load(balancer)}}
        service = {"kind": "Service", "metadata": {"name": "web-istio", "namespace": "shop"}, "spec": spec}
        conditions = Tried(gateway=asked, more=({**service, "status": status},)).status("KubernetesGateway", "web")
        found = next(one for one in conditions["conditions"] if one["type"] == "Programmed")
        return found["status"], found["reason"]

    assert programmed("[{ip: 192.0.2.9}]") == ("False", "AddressNotUsable")
    assert programmed("[{ip: 192.0.2.7}]") == ("False", "AddressNotUsable")
    # What is missing then is a ready pod.
    assert programmed("[{ip: 192.0.2.7}]", "[192.0.2.8]") == ("False", "AddressNotAssigned")


def _showing(secret: str) -> Tried:
    target = "targetRefs: [{group: '', kind: Service, name: cart}]"
    policy = f"{{{target}, validation: {{hostname: cart.org, wellKnownCACertificates: System}}}}"
    backend = f"tls: {{backend: {{clientCertificateRef: {secret}}}}}, "
    return Tried(gateway=backend, more=(_object("BackendTLSPolicy", "p", policy),))


def client_certificate() -> None:
    tried = _showing("{name: pair}")
    shown = '"tls_certificate_sds_secret_configs": [{"name": "kubernetes-gateway://shop/pair"'
    assert shown in text_of(tried.gateway, CLUSTER_TYPE) and shown not in text_of(tried.client, CLUSTER_TYPE)
    wanted = ("shop", "pair")
    assert wanted in wanted_credentials(tried.interpretation.snapshot)
    assert (*wanted, "shop") in shared_credentials(tried.interpretation.snapshot)
    for secret, reason in (
        ("{name: lost}", "InvalidClientCertificateRef"),
        ("{name: x, namespace: bank}", "RefNotPermitted"),
    ):
        refused = _showing(secret)
        conditions = {one["type"]: one for one in refused.status("KubernetesGateway", "web")["conditions"]}
        assert conditions["ResolvedRefs"]["status"] == "False" and conditions["ResolvedRefs"]["reason"] == reason
        assert "tls_certificate_sds_secret_configs" not in text_of(refused.gateway, CLUSTER_TYPE).split("cart.org")[1]


def _frontend(mode: str) -> str:
    validation = f"validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: roots}}], mode: {mode}}}"
    tried = Tried(listeners=_https("a.org"), gateway=f"tls: {{frontend: {{default: {{{validation}}}}}}}, ")
    return text_of(tried.gateway, LISTENER_TYPE)


def frontend() -> None:
    assert '"require_client_certificate": true' in _frontend("AllowValidOnly")


def frontend_fallback() -> None:
    assert "ACCEPT_UNTRUSTED" in _frontend("AllowInsecureFallback")


def isolation() -> None:
    listeners = "[{name: any, port: 80, protocol: HTTP}, {name: a, port: 80, protocol: HTTP, hostname: a.org}]"
    tried = Tried(listeners=listeners, parent="name: web, sectionName: any")
    assert tried.at(host="a.org").status == 404 and _is_cart(tried.at(host="b.org"))


def misdirected() -> None:
    tried = Tried(listeners=_https("*.a.org", "b.a.org"), hosts="[b.a.org, c.a.org]")
    assert tried.at(host="b.a.org", port=443, server_name="c.a.org").status == 421


def propagation() -> None:
    (wanted,) = Tried(
        gateway="infrastructure: {labels: {a: b}, annotations: {c: d}}, "
    ).interpretation.gateway_api.deployments
    assert (wanted.labels, wanted.annotations) == ((("a", "b"),), (("c", "d"),))


def port_8080() -> None:
    assert _is_cart(Tried(listeners="[{name: http, port: 8080, protocol: HTTP}]").at(port=8080))


def listener_set() -> None:
    added = _object(
        "ListenerSet", "more", "{parentRef: {name: web}, listeners: [{name: other, port: 8081, protocol: HTTP}]}"
    )
    tried = Tried(
        gateway="allowedListeners: {namespaces: {from: Same}}, ", parent="kind: ListenerSet, name: more", more=(added,)
    )
    assert _is_cart(tried.at(port=8081))


def cors() -> None:
    rule = f"filters: [{{type: CORS, cors: {{allowOrigins: ['https://a.org'], allowMethods: [GET]}}}}], {CART}"
    assert "envoy.filters.http.cors" in text_of(Tried(rule).gateway, ROUTE_TYPE)


def web_socket() -> None:
    assert _is_cart(Tried("backendRefs: [{name: cart, port: 8081}]").at(), 8081)
    assert "websocket" in text_of(Tried().gateway, LISTENER_TYPE)


def h2c() -> None:
    clusters = Tried("backendRefs: [{name: cart, port: 8082}]").gateway.of(CLUSTER_TYPE)
    readable.load_types()
    cluster = readable.as_document(clusters["outbound|8082||cart.shop.svc.cluster.local"])
    assert "http2_protocol_options" in json.dumps(cluster["typed_extension_protocol_options"])


def _changes(rule: str, kind: str) -> str:
    field = kind[0].lower() + kind[1:]
    return rule.replace("FILTER", f"filters: [{{type: {kind}, {field}: {{set: [{{name: x-new, value: '1'}}]}}}}]")


def backend_headers() -> None:
    rule = _changes("backendRefs: [{name: cart, port: 8080, FILTER}]", "RequestHeaderModifier")
    assert '"key": "x-new"' in text_of(Tried(rule).gateway, ROUTE_TYPE)


def response_headers() -> None:
    routes = text_of(Tried(_changes(f"FILTER, {CART}", "ResponseHeaderModifier")).gateway, ROUTE_TYPE)
    assert "response_headers_to_add" in routes


def _route_action(rule: str) -> dict[str, Any]:
    readable.load_types()
    (table,) = Tried(f"{rule}, {CART}").gateway.of(ROUTE_TYPE).values()
    action: dict[str, Any] = readable.as_document(table)["virtual_hosts"][0]["routes"][0]["route"]
    return action


def request_timeout() -> None:
    assert Tried(f"timeouts: {{request: 3s}}, {CART}").at().timeout_seconds == 3


def backend_timeout() -> None:
    assert _route_action("timeouts: {backendRequest: 3s}")["retry_policy"]["per_try_timeout"] == "3s"


def retry() -> None:
    policy = _route_action("retry: {attempts: 4, codes: [503], backoff: 2s}")["retry_policy"]
    assert (policy["num_retries"], policy["retriable_status_codes"]) == (4, [503])
    assert policy["retry_back_off"]["base_interval"] == "2s"


def retry_timeout() -> None:
    policy = _route_action("retry: {attempts: 4}, timeouts: {backendRequest: 1s}")["retry_policy"]
    assert (policy["num_retries"], policy["per_try_timeout"]) == (4, "1s")


def retry_connection() -> None:
    assert "connect-failure" in _route_action("retry: {attempts: 4}")["retry_policy"]["retry_on"]


def destination_port() -> None:
    tried = Tried(
        listeners="[{name: a, port: 80, protocol: HTTP}, {name: b, port: 81, protocol: HTTP}]",
        parent="name: web, port: 81",
    )
    assert tried.at().verdict is not Verdict.FORWARDED and _is_cart(tried.at(port=81))


def _rewrite(rule: str) -> Outcome:
    return Tried(
        f"matches: [{{path: {{value: /old}}}}], filters: [{{type: URLRewrite, urlRewrite: {{{rule}}}}}], {CART}"
    ).at("/old/x")


def host_rewrite() -> None:
    assert _rewrite("hostname: new.org").host == "new.org"


def path_rewrite() -> None:
    assert _rewrite("path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}").path == "/new/x"
    assert _rewrite("path: {type: ReplaceFullPath, replaceFullPath: /all}").path == "/all"


def method() -> None:
    tried = Tried(_matching("method: POST"))
    assert _is_cart(tried.at(method="POST")) and tried.at().status == 404


def query() -> None:
    tried = Tried(_matching("queryParams: [{name: a, value: b}]"))
    assert _is_cart(tried.at("/?a=b")) and tried.at("/?a=c").status == 404


def named_rule() -> None:
    readable.load_types()
    (table,) = Tried(f"name: mine, {CART}").gateway.of(ROUTE_TYPE).values()
    assert readable.as_document(table)["virtual_hosts"][0]["routes"][0]["name"] == "mine"


def grpc_named_rule() -> None:
    assert '"name": "mine"' in text_of(Tried(f"name: mine, {CART}", kind="GRPCRoute").gateway, ROUTE_TYPE)


def path_redirect() -> None:
    assert _redirect("path: {type: ReplaceFullPath, replaceFullPath: /new}").location == "http://a.org/new"


def port_redirect() -> None:
    assert _redirect("port: 8083").location == "http://a.org:8083/old/x"


def scheme_redirect() -> None:
    assert _redirect("scheme: https").location == "https://a.org/old/x"


def _redirect_code(code: int) -> Callable[[], None]:
    def check() -> None:
        outcome = _redirect(f"hostname: b.org, statusCode: {code}")
        assert (outcome.verdict, outcome.status) == (Verdict.REDIRECTED, code)

    return check


def mirror() -> None:
    assert _mirrors("") == (("outbound|8080||copy.shop.svc.cluster.local", 100),)


def mirrors() -> None:
    assert len(_mirrors("", "")) == 2


def mirror_share() -> None:
    assert _mirrors(", percent: 25")[0][1] == 25 and _mirrors(", fraction: {numerator: 1, denominator: 4}")[0][1] == 25


def mesh() -> None:
    tried = _mesh("backendRefs: [{name: copy, port: 8080}]")
    assert tried.inside().cluster.endswith("copy.shop.svc.cluster.local")


def cluster_address() -> None:
    tried = _mesh("backendRefs: [{name: copy, port: 8080}]")
    address = tried.interpretation.snapshot.services["cart.shop.svc.cluster.local"].addresses[0]
    assert tried.inside(host=address).cluster.endswith("copy.shop.svc.cluster.local")


def consumer() -> None:
    tried = Tried(
        "backendRefs: [{name: copy, port: 8080}]", parent="group: '', kind: Service, name: ledger, namespace: bank"
    )
    assert tried.inside(host="ledger.bank").cluster.endswith("copy.shop.svc.cluster.local")


def mesh_backend_headers() -> None:
    rule = _changes("backendRefs: [{name: cart, port: 8080, FILTER}]", "RequestHeaderModifier")
    assert '"key": "x-new"' in text_of(_mesh(rule).client, ROUTE_TYPE)


def mesh_named_rule() -> None:
    assert '"name": "mine"' in text_of(_mesh(f"name: mine, {CART}").client, ROUTE_TYPE)


def mesh_query() -> None:
    tried = _mesh(_matching("queryParams: [{name: a, value: b}]"))
    assert _is_cart(tried.inside("/?a=b")) and tried.inside("/?a=c").status == 404


def mesh_path_redirect() -> None:
    assert _mesh_redirect("path: {type: ReplaceFullPath, replaceFullPath: /new}").location.endswith("/new")


def mesh_port_redirect() -> None:
    assert _mesh_redirect("port: 8083").location == "http://cart:8083/old/x"


def mesh_scheme_redirect() -> None:
    assert _mesh_redirect("scheme: https").location.startswith("https://cart")


def mesh_path_rewrite() -> None:
    rule = f"matches: [{{path: {{value: /old}}}}], filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /new}}}}}}], {CART}"
    assert _mesh(rule).inside("/old/x").path == "/new/x"


CHECKS: dict[str, Callable[[], None]] = {
    "BackendTLSPolicy": backend_tls,
    "BackendTLSPolicySANValidation": backend_names,
    "GRPCRoute": grpc_route,
    "GRPCRouteNamedRouteRule": grpc_named_rule,
    "Gateway": gateway,
    "GatewayAddressEmpty": address_empty,
    "GatewayBackendClientCertificate": client_certificate,
    "GatewayFrontendClientCertificateValidation": frontend,
    "GatewayFrontendClientCertificateValidationInsecureFallback": frontend_fallback,
    "GatewayHTTPListenerIsolation": isolation,
    "GatewayHTTPSListenerDetectMisdirectedRequests": misdirected,
    "GatewayInfrastructure": propagation,
    "GatewayInfrastructurePropagation": propagation,
    "GatewayPort8080": port_8080,
    "GatewayStaticAddresses": static_addresses,
    "HTTPRoute": http_route,
    "HTTPRoute303RedirectStatusCode": _redirect_code(303),
    "HTTPRoute307RedirectStatusCode": _redirect_code(307),
    "HTTPRoute308RedirectStatusCode": _redirect_code(308),
    "HTTPRouteBackendProtocolH2C": h2c,
    "HTTPRouteBackendProtocolWebSocket": web_socket,
    "HTTPRouteBackendRequestHeaderModification": backend_headers,
    "HTTPRouteBackendTimeout": backend_timeout,
    "HTTPRouteCORS": cors,
    "HTTPRouteDestinationPortMatching": destination_port,
    "HTTPRouteHostRewrite": host_rewrite,
    "HTTPRouteMethodMatching": method,
    "HTTPRouteNamedRouteRule": named_rule,
    "HTTPRouteParentRefPort": destination_port,
    "HTTPRoutePathRedirect": path_redirect,
    "HTTPRoutePathRewrite": path_rewrite,
    "HTTPRoutePortRedirect": port_redirect,
    "HTTPRouteQueryParamMatching": query,
    "HTTPRouteRequestMirror": mirror,
    "HTTPRouteRequestMultipleMirrors": mirrors,
    "HTTPRouteRequestPercentageMirror": mirror_share,
    "HTTPRouteRequestTimeout": request_timeout,
    "HTTPRouteResponseHeaderModification": response_headers,
    "HTTPRouteRetry": retry,
    "HTTPRouteRetryBackendTimeout": retry_timeout,
    "HTTPRouteRetryConnectionError": retry_connection,
    "HTTPRouteSchemeRedirect": scheme_redirect,
    "ListenerSet": listener_set,
    "Mesh": mesh,
    "MeshClusterIPMatching": cluster_address,
    "MeshConsumerRoute": consumer,
    "MeshHTTPRouteBackendRequestHeaderModification": mesh_backend_headers,
    "MeshHTTPRouteNamedRouteRule": mesh_named_rule,
    "MeshHTTPRouteQueryParamMatching": mesh_query,
    "MeshHTTPRouteRedirectPath": mesh_path_redirect,
    "MeshHTTPRouteRedirectPort": mesh_port_redirect,
    "MeshHTTPRouteRewritePath": mesh_path_rewrite,
    "MeshHTTPRouteSchemeRedirect": mesh_scheme_redirect,
    "ReferenceGrant": reference_grant,
    "TCPRoute": tcp_route,
    "TLSRoute": tls_route,
    "TLSRouteModeMixed": tls_mixed,
    "TLSRouteModeTerminate": tls_ended,
}


def test_a_listener_shows_the_certificate_its_client_can_take() -> None:
    second = {
        "kind": "Credential",
        "metadata": {"name": "second", "namespace": "shop"},
        "version": "2",
        "pairProblem": "",
        "rootsProblem": "",
    }
    listeners = _https("a.org").replace("{name: pair}", "{name: pair}, {name: second}")
    listener = text_of(Tried(listeners=listeners, more=(second,)).gateway, LISTENER_TYPE)
    assert "kubernetes-gateway://shop/pair" in listener and "kubernetes-gateway://shop/second" in listener


@pytest.mark.parametrize("feature", CHECKS)
def test_feature(feature: str) -> None:
    CHECKS[feature]()


def test_every_supported_feature_is_shown() -> None:
    assert sorted(CHECKS) == list(SUPPORTED)
    class_status = Tried().interpretation.gateway_api.statuses["GatewayClass", "", "istio"]
    assert [one["name"] for one in class_status["supportedFeatures"]] == sorted(CHECKS)


@pytest.mark.parametrize("page", ["docs/guides/gateway-api.md", "docs/ko/guides/gateway-api.md"])
def test_the_pages_name_every_feature(page: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|no|예|아니요) \|", (ROOT / page).read_text(), re.MULTILINE)
    assert {name for name, said in rows if said in ("yes", "예")} == set(SUPPORTED)
    assert {name for name, said in rows if said in ("no", "아니요")} == set(UNSUPPORTED)
