"""What is explained is what Envoy does: the same requests, asked of the console and sent through the gateway."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from typing import Any

import pytest
from load import SteadyLoad
from mesh import CommandError, Mesh, wait_until

pytestmark = pytest.mark.e2e

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: explained, namespace: default}
spec:
  hosts: [explained.example.org]
  gateways: [bookinfo-gateway]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: productpage, port: {number: 9080}}}]
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {prefix: /productpage}}]
    route: [{destination: {host: productpage, port: {number: 9080}}}]
"""
HOST = "explained.example.org"


def explain(mesh: Mesh, source: str, url: str, header: str = "", namespace: str = "istio-system") -> dict[str, object]:
    query = urllib.parse.urlencode({"namespace": namespace, "source": source, "url": url, "header": header})
    answer: dict[str, object] = mesh.console(f"/api/explain?{query}")
    return answer


def test_what_is_explained_is_what_envoy_does(bookinfo: Mesh) -> None:
    bookinfo.kubectl("apply", "-f", "-", given=RULES)

    def status(path: str, **headers: str) -> int:
        return bookinfo.get(bookinfo.gateway + path, {"Host": HOST, **headers})[0]

    wait_until(lambda: status("/productpage") == 200, "the rules are in force")
    wait_until(
        lambda: explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/productpage")["verdict"] == "forwarded",
        "the console knows the rules",
    )
    abort = explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/productpage", "end-user: jason")
    assert (abort["verdict"], abort["status"]) == ("answered", status("/productpage", **{"end-user": "jason"}))
    none = explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/nothing")
    assert (none["verdict"], none["status"]) == ("no route", status("/nothing"))
    assert len(none["passedOver"]) == 3  # type: ignore[arg-type]
    text = bookinfo.kaiki("explain", "request", "-n", "istio-system", "istio-ingressgateway", f"http://{HOST}/old")
    assert f"http://{HOST}/new" in text
    old = explain(bookinfo, "istio-ingressgateway", f"http://{HOST}/old")
    (route,) = [step for step in old["steps"] if step["part"] == "route"]  # type: ignore[attr-defined]
    place = urllib.parse.urlencode({key: route["object"][key] for key in ("apiVersion", "kind", "namespace", "name")})
    shown = bookinfo.console(f"/api/config/object?{place}")["yaml"].splitlines()
    assert (route["code"], route["field"]) == ("routeTaken", "spec.http[1].match[0]")
    assert "uri:" in shown[route["line"] - 1] and "/old" in shown[route["line"]]
    assert f"VirtualService default/explained spec.http[1].match[0], line {route['line']}" in text
    inner = explain(bookinfo, "productpage", "http://reviews:9080/reviews/1", namespace="default")
    assert inner["clusters"][0]["cluster"] == "outbound|9080||reviews.default.svc.cluster.local"  # type: ignore[index]
    assert inner["clusters"][0]["endpoints"]  # type: ignore[index]


ANSWER = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: waited, namespace: default}}
spec:
  hosts: [waited.example.org]
  gateways: [{gateway}]
  http: [{{directResponse: {{status: {status}}}}}]
"""


def test_what_was_waited_for_is_in_force(bookinfo: Mesh) -> None:
    for status in (201, 202, 203, 204, 205):
        bookinfo.kubectl("apply", "-f", "-", given=ANSWER.format(gateway="bookinfo-gateway", status=status))
        said = bookinfo.kaiki("wait", "--for=distribution", "vs/waited")
        assert "VirtualService default/waited is in force at 1 of 1 proxies" in said
        assert bookinfo.get(f"{bookinfo.gateway}/", {"Host": "waited.example.org"})[0] == status
    known = json.loads(bookinfo.kaiki("status", "-o", "json"))["configuration"]
    mine = next(one for one in known if one["name"] == "waited")
    assert (mine["acknowledged"], mine["proxies"], mine["waiting"]) == (1, 1, [])
    assert "VirtualService default/waited" in bookinfo.kaiki("status")


def test_waiting_for_what_cannot_come_says_why(bookinfo: Mesh) -> None:
    bookinfo.kubectl("apply", "-f", "-", given=ANSWER.format(gateway="nobody", status=200).replace("waited", "lost"))
    with pytest.raises(CommandError, match=r"exit code 1(.|\n)*no proxy has anything of it\n  KAI0202"):
        bookinfo.kaiki("wait", "virtualservice/lost", "--timeout", "2")
    with pytest.raises(
        CommandError, match=r'exit code 1(.|\n)*virtualservices.networking.istio.io "nothing" not found'
    ):
        bookinfo.kaiki("wait", "virtualservice/nothing")
    with pytest.raises(CommandError, match=r"exit code 1(.|\n)*'pod' is no kind"):
        bookinfo.kaiki("wait", "pod/x")


SHAPING = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shaping, namespace: default}
spec:
  hosts: [shaping.example.org]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: machine}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: shaping, namespace: default}
spec: {address: 10.97.200.1, labels: {app: machine}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: shaping, namespace: default}
spec: {workloadSelector: {labels: {app: ratings}}, egress: [{hosts: ["./*", "istio-system/*"]}]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: shaping, namespace: default}
spec:
  selector: {matchLabels: {app: ratings}}
  metrics: [{providers: [{name: prometheus}], overrides: [{tagOverrides: {method: {value: request.method}}}]}]
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: shaping, namespace: default}
spec: {selector: {matchLabels: {app: details}}, environmentVariables: {SHAPED: "yes"}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: shaping, namespace: default}
spec:
  workloadSelector: {labels: {app: details}}
  configPatches:
  - applyTo: BOOTSTRAP
    patch: {operation: MERGE, value: {stats_flush_interval: 3s}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shaping, namespace: default}
spec:
  ingressClassName: istio
  rules:
  - host: shaping.example.org
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: productpage, port: {number: 9080}}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: shaping, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules: [{backendRefs: [{name: ratings, port: 9080}]}]
"""


def test_every_kind_says_where_it_is_in_force(bookinfo: Mesh) -> None:
    bookinfo.kubectl("apply", "-f", "-", given=SHAPING)
    for kind, proxies in (
        ("serviceentry", 7),
        ("workloadentry", 7),
        ("sidecar", 1),
        ("telemetry", 1),
        ("ingress", 1),
        ("grpcroute", 6),
    ):
        assert f"at {proxies} of {proxies} proxies" in bookinfo.kaiki("wait", f"{kind}/shaping")
    for kind in ("proxyconfig", "envoyfilter"):
        with pytest.raises(CommandError, match="0 of 1 proxies have it, waiting for details-v1"):
            bookinfo.kaiki("wait", f"{kind}/shaping", "--timeout", "1")

    def findings() -> str:
        return json.dumps(bookinfo.objects("envoyfilter", "shaping")[0].get("status"))

    wait_until(lambda: "1 of 1 proxies were started before" in findings(), "the proxy to be restarted is told of")
    bookinfo.kubectl("rollout", "restart", "deployment/details-v1")
    for kind in ("proxyconfig", "envoyfilter"):
        assert "at 1 of 1 proxies" in bookinfo.kaiki("wait", f"{kind}/shaping", "--timeout", "60")
    wait_until(lambda: "KAI0705" not in findings(), "nothing is left to restart")
    (details,) = bookinfo.pods(selector="app=details")
    proxy = next(one for one in details["spec"]["initContainers"] if one["name"] == "istio-proxy")
    assert {"name": "SHAPED", "value": "yes"} in proxy["env"]
    assert '"stats_flush_interval":"3s"' in proxy["args"][1]
    bookinfo.kubectl("delete", "-f", "-", given=SHAPING)
    wait_until(lambda: "shaping" not in bookinfo.kaiki("status"), "they are forgotten")


REFUSED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: refused, namespace: default}
spec:
  host: details
  trafficPolicy:
    loadBalancer: {consistentHash: {httpHeaderName: end-user, ringHash: {minimumRingSize: 9000000}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: refused, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-refused, value: "%NOSUCH(a)%"}]}
    backendRefs: [{name: reviews, port: 9080}]
"""
ACCEPTED = REFUSED.replace("9000000", "1024").replace("%NOSUCH(a)%", "taken")


def conditions(mesh: Mesh, kind: str) -> list[dict[str, str]]:
    status = mesh.objects(kind, "refused")[0].get("status") or {}
    parents = status.get("parents") or [{}]
    found: list[dict[str, str]] = status.get("conditions") or parents[0].get("conditions") or []
    return found


def test_what_envoy_refuses_is_held_back_alone_and_says_so(bookinfo: Mesh) -> None:
    def told(kind: str, word: str) -> bool:
        bad = [one for one in conditions(bookinfo, kind) if one["status"] == "False"]
        return any("KAI0801" in one["message"] and word in one["message"] for one in bad)

    with SteadyLoad(f"{bookinfo.gateway}/productpage") as load:
        bookinfo.kubectl("apply", "-f", "-", given=REFUSED)
        wait_until(lambda: told("destinationrule", "MinimumRingSize"), "the DestinationRule says what Envoy refuses")
        wait_until(lambda: told("httproute", "NOSUCH"), "the HTTPRoute says what Envoy refuses")
        load.wait_for_more(20)
        # Other changes go on, those of the same route tables too.
        bookinfo.kubectl("apply", "-f", "-", given=ANSWER.format(gateway="mesh", status=204).replace("waited", "later"))
        assert "is in force at 6 of 6 proxies" in bookinfo.kaiki("wait", "virtualservice/later")
        status = bookinfo.kaiki("status")
        for kind in ("DestinationRule", "HTTPRoute"):
            line = next(line for line in status.splitlines() if line.startswith(f"{kind} default/refused"))
            assert "refused by Envoy" in line
            with pytest.raises(CommandError, match=r"exit code 1(.|\n)*Envoy refuses what comes of it(.|\n)*KAI0801"):
                bookinfo.kaiki("wait", f"{kind.lower()}/refused", "--timeout", "1")
        known = json.loads(bookinfo.kaiki("status", "-o", "json"))["configuration"]
        assert {one["name"] for one in known if one["refused"]} == {"refused"}, "nobody else is accused"
        by_object = bookinfo.kubectl("exec", "-n", "istio-system", "deploy/istiod", "--", *BY_OBJECT)
        assert [one["name"] for one in json.loads(by_object) if one["refused"]] == ["refused", "refused"]

        bookinfo.kubectl("apply", "-f", "-", given=ACCEPTED)
        for kind, proxies in (("destinationrule", 7), ("httproute", 6)):
            assert f"is in force at {proxies} of {proxies} proxies" in bookinfo.kaiki("wait", f"{kind}/refused")
        wait_until(lambda: "KAI0801" not in json.dumps(conditions(bookinfo, "httproute")), "nothing is refused now")

        bookinfo.kubectl("apply", "-f", "-", given=REFUSED)
        wait_until(lambda: told("destinationrule", "as it was before"), "what was good stands")
        bookinfo.kubectl("delete", "-f", "-", given=REFUSED)
        wait_until(lambda: "refused" not in bookinfo.kaiki("status"), "with the objects all that is lifted")
        load.wait_for_more(20)
    assert load.failures == {}
    assert load.outcomes["200"] > 40


BY_OBJECT = ("curl", "-s", "http://localhost:15014/debug/syncz?by=object")


def test_the_policies_of_the_destination_are_asked(bookinfo: Mesh) -> None:
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "closed", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "details"}},
            "action": "DENY",
            "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/default/sa/bookinfo-productpage"]}}]}],
        },
    }
    bookinfo.kubectl("apply", "-f", "-", given=json.dumps(policy))
    try:
        url = "http://details:9080/details/0"
        wait_until(
            lambda: explain(bookinfo, "productpage", url, namespace="default")["verdict"] == "refused",
            "the console knows the policy",
        )
        answer = explain(bookinfo, "productpage", url, namespace="default")
        (decided,) = [step for step in answer["steps"] if step["part"] == "policy"]  # type: ignore[attr-defined]
        assert (answer["status"], decided["field"]) == (403, "spec.rules[0]")
        assert decided["object"]["name"] == "closed"
        command = f"import urllib.request as r; r.urlopen('{url}')"
        asked = ("exec", "deploy/productpage-v1", "-c", "productpage", "--", "python3", "-c", command)
        wait_until(lambda: "HTTP Error 403" in bookinfo.kubectl(*asked, check=False), "Envoy refuses it, too")
    finally:
        bookinfo.kubectl("delete", "authorizationpolicy", "closed")


APART = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: apart, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
  - applyTo: EXTENSION_CONFIG
    match: {context: GATEWAY}
    patch:
      operation: ADD
      value:
        name: apart
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
          mutations: {response_mutations: [{append: {header: {key: x-apart, value: "VALUE"}}}]}
  - applyTo: HTTP_FILTER
    match:
      context: GATEWAY
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
    patch:
      operation: INSERT_FIRST
      value:
        name: apart
        config_discovery:
          config_source: {ads: {}, resource_api_version: V3}
          type_urls: [type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation]
"""


def test_the_configuration_of_a_filter_may_stand_apart(bookinfo: Mesh) -> None:
    def answered() -> str | None:
        with urllib.request.urlopen(f"{bookinfo.gateway}/productpage", timeout=20) as response:
            response.read()
            value: str | None = response.headers.get("x-apart")
            return value

    for value in ("one", "two"):
        bookinfo.kubectl("apply", "-f", "-", given=APART.replace("VALUE", value))
        said = bookinfo.kaiki("wait", "-n", "istio-system", "envoyfilter/apart")
        assert "is in force at 1 of 1 proxies" in said
        wait_until(lambda value=value: answered() == value, "the filter has its configuration")  # type: ignore[misc]
    bookinfo.kubectl("delete", "envoyfilter", "apart", "-n", "istio-system")
    wait_until(lambda: answered() is None, "the filter is gone")


ASKED = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: asked, namespace: default}
spec: {accessLogging: [{providers: [{name: envoy}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: asked, namespace: default}
spec:
  hosts: [details]
  http:
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {fixedDelay: 0.4s, percentage: {value: 100}}}
    route: [{destination: {host: details}}]
  - match: [{uri: {prefix: /again}}]
    retries: {attempts: 2, retryOn: "404"}
    route: [{destination: {host: details}}]
  - route: [{destination: {host: details}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: asked, namespace: default}
spec:
  selector: {matchLabels: {app: details}}
  action: DENY
  rules: [{to: [{operation: {paths: [/denied]}}]}]
"""


def logged(mesh: Mesh, path: str, side: str) -> list[dict[str, Any]]:
    """The requests for this path in the real access logs of one side, the newest first."""
    found = mesh.console(f"/api/requests?namespaces=default&path={path}&duration=5m")["items"]
    return [one for one in found if one["side"] == side and one["entry"]["authority"] == "details:9080"]


def answer_of(mesh: Mesh, path: str, side: str) -> dict[str, Any]:
    """What is said of the newest request for this path."""
    question = {key: logged(mesh, path, side)[0][key] for key in ("namespace", "pod", "workload", "entry")}
    request = urllib.request.Request(
        mesh.environment["KAIKI_CONSOLE_URL"] + "/api/explain/logged",
        data=json.dumps(question).encode(),
        headers={
            "Authorization": f"Bearer {mesh.environment['KAIKI_CONSOLE_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def line_shown(mesh: Mesh, named: dict[str, Any]) -> str:
    """The line that an answer names, in the object as the editor shows it."""
    place = urllib.parse.urlencode({key: named[key] for key in ("apiVersion", "kind", "namespace", "name")})
    assert named["line"] > 0, named
    text: str = mesh.console(f"/api/config/object?{place}")["yaml"].splitlines()[named["line"] - 1]
    return text


SIDES = {"/details/7": "outbound", "/denied": "inbound", "/slow": "outbound", "/again": "outbound"}


def test_four_questions_about_requests_that_were_made(bookinfo: Mesh) -> None:
    """Why there, why denied, why slow, why retried: each answered by the object and its line."""
    bookinfo.kubectl("apply", "-f", "-", given=ASKED)
    try:
        for name in ("virtualservice/asked", "authorizationpolicy/asked", "telemetry/asked"):
            bookinfo.kaiki("wait", name)
        script = "import sys, urllib.request as r, urllib.error as e\n" + "\n".join(
            f"try: r.urlopen('http://details:9080{path}', timeout=9).read()\nexcept e.HTTPError: pass" for path in SIDES
        )

        def sent() -> bool:
            bookinfo.kubectl("exec", "deploy/productpage-v1", "-c", "productpage", "--", "python3", "-c", script)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: all(logged(bookinfo, *one) for one in SIDES.items()), "logged", timeout_seconds=8)
                return True
            return False  # Over a connection of before, whose proxy did not log yet.

        wait_until(sent, "every request is in the log")

        def routed() -> tuple[dict[str, Any], dict[str, Any]]:
            there = answer_of(bookinfo, "/details/7", "outbound")
            (route,) = [step for step in there["explanation"]["steps"] if step["part"] == "route"]
            return there, route

        wait_until(lambda: routed()[1]["object"] is not None, "the console knows the VirtualService", every_seconds=1)
        there, route = routed()
        assert (route["object"]["name"], route["field"]) == ("asked", "spec.http[2]")
        assert "route" in line_shown(bookinfo, route["object"] | {"line": route["line"]})
        assert {"sentTo", "sameNow"} <= {remark["code"] for remark in there["remarks"]}

        denied = answer_of(bookinfo, "/denied", "inbound")
        assert denied["entry"]["response_code"] == 403
        (policy,) = denied["responsible"]
        assert (policy["kind"], policy["name"], policy["field"]) == ("AuthorizationPolicy", "asked", "spec.rules[0]")
        assert "to:" in line_shown(bookinfo, policy)

        slow = answer_of(bookinfo, "/slow", "outbound")
        (delayed,) = slow["responsible"]
        assert slow["entry"]["duration"] >= 390  # The log rounds each end of it down.
        assert (delayed["kind"], delayed["name"], delayed["field"]) == ("VirtualService", "asked", "spec.http[0].fault")
        assert "fault:" in line_shown(bookinfo, delayed)

        again = answer_of(bookinfo, "/again", "outbound")
        (tried,) = again["responsible"]
        assert (tried["kind"], tried["name"], tried["field"]) == ("VirtualService", "asked", "spec.http[1].retries")
        assert "retries:" in line_shown(bookinfo, tried)
        assert {"retried", "retriedAll"} & {remark["code"] for remark in again["remarks"]}
    finally:
        bookinfo.kubectl("delete", "-f", "-", given=ASKED)
