"""The Gateway API with real Envoys and the real kubectl: a Gateway's own pods, routes, TLS, mesh routes and status."""

from __future__ import annotations

import collections
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from mesh import SAMPLES, Mesh, wait_until

NAMESPACES = """
apiVersion: v1
kind: Namespace
metadata: {name: backend, labels: {istio-injection: enabled, gateway-access: "true"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: front, labels: {istio-injection: enabled}}
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: front}
spec:
  gatewayClassName: istio
  infrastructure: {labels: {team: front}}
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    hostname: "*.example.com"
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {gateway-access: "true"}}}}
  - name: https
    port: 443
    protocol: HTTPS
    hostname: secure.example.com
    allowedRoutes: {namespaces: {from: All}}
    tls: {certificateRefs: [{name: pair, namespace: backend}]}
  - {name: lines, port: 9000, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}
  - {name: pass, port: 9443, protocol: TLS, allowedRoutes: {namespaces: {from: All}}, tls: {mode: Passthrough}}
"""
TLS_BACKEND = """
apiVersion: v1
kind: Service
metadata: {name: sealed, namespace: backend}
spec: {selector: {app: sealed}, ports: [{name: https, port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sealed, namespace: backend}
spec:
  selector: {matchLabels: {app: sealed}}
  template:
    metadata: {labels: {app: sealed, sidecar.istio.io/inject: "false"}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: echo
        image: example.com/echo-basic:1
        env:
        - {name: TLS_SERVER_CERT, value: /pair/tls.crt}
        - {name: TLS_SERVER_PRIVKEY, value: /pair/tls.key}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        volumeMounts: [{name: pair, mountPath: /pair}]
        readinessProbe: {httpGet: {path: /, port: 3000}, periodSeconds: 1}
      volumes: [{name: pair, secret: {secretName: pair}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: sealed, namespace: backend}
spec:
  parentRefs: [{name: web, namespace: front, sectionName: pass}]
  hostnames: [secure.example.com]
  rules: [{backendRefs: [{name: sealed, port: 443}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: sealed, namespace: backend}
spec:
  parentRefs: [{name: web, namespace: front, sectionName: http}]
  hostnames: [sealed.example.com]
  rules: [{backendRefs: [{name: sealed, port: 443}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: sealed, namespace: backend}
spec:
  targetRefs: [{group: "", kind: Service, name: sealed}]
  validation: {hostname: secure.example.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: roots}]}
"""
GRPC_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc, namespace: backend}
spec:
  parentRefs: [{name: web, namespace: front, sectionName: http}]
  hostnames: [grpc.example.com]
  rules:
  - matches: [{method: {service: kaiki.samples.Echo, method: Echo}}]
    backendRefs: [{name: grpc-echo, port: 7000}]
  - matches: [{method: {service: kaiki.samples.Echo, method: Fail}}]
    backendRefs: [{name: missing, port: 7000}]
"""
ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: backend}
spec:
  parentRefs: [{name: web, namespace: front, sectionName: http}]
  hostnames: [www.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: one, port: 8080, weight: 3}, {name: two, port: 8080, weight: 1}]
  - matches: [{path: {type: PathPrefix, value: /two}}, {headers: [{name: version, value: two}]}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-set, value: here}], add: [{name: x-add, value: there}], remove: [x-gone]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-answer, value: changed}]}
    backendRefs: [{name: two, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /rewrite/old}}]
    filters:
    - type: URLRewrite
      urlRewrite: {hostname: new.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
    backendRefs: [{name: one, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /moved}}]
    filters:
    - type: RequestRedirect
      requestRedirect:
        {scheme: https, hostname: other.org, path: {type: ReplaceFullPath, replaceFullPath: /x}, statusCode: 301}
  - matches: [{path: {type: Exact, value: /mirrored}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}}}]
    backendRefs: [{name: one, port: 8080}]
  - matches: [{path: {type: Exact, value: /count}}, {path: {type: Exact, value: /relay}}]
    backendRefs: [{name: two, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /broken}}]
    backendRefs: [{name: missing, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: refused, namespace: front}
spec:
  parentRefs: [{name: web, sectionName: http}]
  rules: [{backendRefs: [{name: one, namespace: backend, port: 8080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secure, namespace: front}
spec:
  parentRefs: [{name: web, sectionName: https}]
  rules: [{backendRefs: [{name: one, namespace: backend, port: 8080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: lines, namespace: backend}
spec:
  parentRefs: [{name: web, namespace: front, sectionName: lines}]
  rules: [{backendRefs: [{name: two, port: 9000}]}]
"""
GRANT = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: open, namespace: backend}
spec:
  from:
  - {group: gateway.networking.k8s.io, kind: Gateway, namespace: front}
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: front}
  to: [{group: "", kind: Secret}, {group: "", kind: Service}]
"""
MESH_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: split, namespace: backend}
spec:
  parentRefs: [{group: "", kind: Service, name: one, port: 8080}]
  rules:
  - matches: [{headers: [{name: to, value: two}]}]
    backendRefs: [{name: two, port: 8080}]
  - backendRefs: [{name: one, port: 8080}, {name: two, port: 8080}]
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: backend}
spec:
  ingressClassName: istio
  defaultBackend: {service: {name: one, port: {number: 8080}}}
  rules:
  - host: ingress.example.com
    http:
      paths:
      - {path: /two, pathType: Prefix, backend: {service: {name: two, port: {name: http}}}}
      - {path: /exact, pathType: Exact, backend: {service: {name: two, port: {number: 8080}}}}
"""


def workload(name: str) -> str:
    """One pod of the echo sample and its Service."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: backend}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 8080}}, {{name: tcp, port: 9000}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: backend}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: echo
        image: kaiki/echo:1
        env: [{{name: VERSION, value: {name}}}]
        readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
---
"""


class Front:
    """The mesh with the Gateway, its routes and two backends."""

    def __init__(self, mesh: Mesh, root: Path) -> None:
        self.mesh = mesh
        self.root = root

    def port(self, number: int, namespace: str = "front", service: str = "web-istio") -> int:
        ports = json.loads((self.mesh.home / "run" / "state.json").read_text())["ports"]
        return int(ports[f"service:{namespace}/{service}:{number}"])

    def secret(self, folder: Path) -> list[str]:
        """The arguments of kubectl that make the Secret of the HTTPS listener."""
        pair = [f"--cert={folder / 'crt'}", f"--key={folder / 'key'}"]
        return ["create", "secret", "tls", "pair", "-n", "backend", *pair]

    def certificate(self) -> str:
        """The subject of what the HTTPS listener shows."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port(443)}", "-servername", "secure.example.com"],
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        return next((line for line in done.stdout.splitlines() if line.startswith("subject")), "")

    def get(self, path: str, host: str = "www.example.com", **headers: str) -> tuple[int, dict[str, str], str]:
        """One request on the HTTP listener, by curl: status, headers, body. Redirects are not followed."""
        return self.curl(f"http://127.0.0.1:{self.port(80)}{path}", {"host": host, **headers})

    def curl(self, url: str, headers: dict[str, str], *more: str) -> tuple[int, dict[str, str], str]:
        given = [part for name, value in headers.items() for part in ("-H", f"{name.replace('_', '-')}: {value}")]
        done = subprocess.run(
            ["curl", "-sS", "-i", "-m", "20", *given, *more, url], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(done.stderr)
        head, _, body = done.stdout.partition("\n\n")
        first, *rest = head.split("\n")
        return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in rest if ": " in line), body

    def conditions(self, kind: str, name: str, namespace: str) -> dict[str, tuple[str, str]]:
        """The conditions of an object, or of the first parent of a route."""
        status = self.mesh.objects(kind, name, "-n", namespace)[0].get("status") or {}
        holder: dict[str, Any] = (status.get("parents") or [status])[0]
        return {one["type"]: (one["status"], one["reason"]) for one in holder.get("conditions") or ()}


def make_pair(folder: Path, name: str) -> None:
    """A key and a certificate of its own for one name."""
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run([*make, *names, *files], check=True, capture_output=True)


@pytest.fixture(scope="module")
def front(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Front:
    for text in (NAMESPACES, workload("one") + workload("two"), GATEWAY, ROUTES):
        mesh.kubectl("apply", "-f", "-", given=text)
    folder = tmp_path_factory.mktemp("pair")
    make_pair(folder, "secure.example.com")
    found = Front(mesh, folder / "crt")
    mesh.kubectl(*found.secret(folder))
    mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", "backend", "--timeout=120s")
    mesh.kubectl("wait", "--for=condition=Programmed", "gtw/web", "-n", "front", "--timeout=120s")
    wait_until(lambda: found.get("/two")[0] == 200, "the Gateway routes")
    return found


def test_a_gateway_has_pods_of_its_own_and_says_where_it_is(front: Front) -> None:
    (gateway,) = front.mesh.objects("gtw", "web", "-n", "front")
    (address,) = gateway["status"]["addresses"]
    assert address["type"] == "IPAddress" and address["value"].startswith("127.")
    if address["value"] != "127.0.0.1":
        # The machine lets us have ports below 1024, so the Gateway has an address of its own with its very ports.
        status, _, _ = front.curl(f"http://{address['value']}/two", {"host": "www.example.com"})
        assert status == 200
    (pod,) = front.mesh.pods("front", "gateway.networking.k8s.io/gateway-name=web")
    assert pod["metadata"]["labels"]["team"] == "front"
    (account,) = front.mesh.objects("serviceaccount", "web-istio", "-n", "front")
    assert account["metadata"]["ownerReferences"][0]["name"] == "web"
    listeners = {one["name"]: one for one in gateway["status"]["listeners"]}
    assert {name: one["attachedRoutes"] for name, one in listeners.items()} == {
        "http": 1,
        "https": 1,
        "lines": 1,
        "pass": 0,
    }
    (known,) = front.mesh.objects("gatewayclass", "istio")
    assert known["status"]["conditions"][0]["reason"] == "Accepted"


def test_routes_by_weight_path_and_header(front: Front) -> None:
    counted = collections.Counter(json.loads(front.get("/")[2])["version"] for _ in range(200))
    assert 115 < counted["one"] < 185 and counted["two"] > 15
    status, headers, body = front.get("/two/x", x_gone="1")
    said = json.loads(body)
    assert (status, said["version"], headers["x-answer"]) == (200, "two", "changed")
    assert said["headers"]["x-set"] == "here" and said["headers"]["x-add"] == "there"
    assert "x-gone" not in said["headers"]
    assert json.loads(front.get("/elsewhere", version="two")[2])["version"] == "two"


def test_rewrites_redirects_and_refuses(front: Front) -> None:
    said = json.loads(front.get("/rewrite/old/x")[2])
    assert (said["path"], said["host"]) == ("/new/x", "new.org")
    status, headers, _ = front.get("/moved/y")
    assert (status, headers["location"]) == (301, "https://other.org/x")
    assert front.get("/broken")[0] == 500
    assert front.get("/", host="elsewhere.example.com")[0] == 404


def test_a_mirror_gets_a_copy(front: Front) -> None:
    before = int(front.get("/count?key=mirrored")[2])
    assert json.loads(front.get("/mirrored?key=mirrored")[2])["version"] == "one"
    wait_until(lambda: int(front.get("/count?key=mirrored")[2]) > before, "the copy arrives")


def test_routes_say_how_they_stand(front: Front) -> None:
    assert front.conditions("httproute", "web", "backend") == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("False", "BackendNotFound"),
    }
    assert front.conditions("httproute", "refused", "front")["Accepted"] == ("False", "NotAllowedByListeners")


def test_tls_and_backends_of_another_namespace_wait_for_a_grant(front: Front) -> None:
    assert front.conditions("httproute", "secure", "front")["ResolvedRefs"] == ("False", "RefNotPermitted")
    (gateway,) = front.mesh.objects("gtw", "web", "-n", "front")
    https = gateway["status"]["listeners"][1]
    assert ("ResolvedRefs", "RefNotPermitted") in [(one["type"], one["reason"]) for one in https["conditions"]]
    front.mesh.kubectl("apply", "-f", "-", given=GRANT)

    def answers() -> bool:
        more = ["--cacert", str(front.root), "--resolve", f"secure.example.com:{front.port(443)}:127.0.0.1"]
        url = f"https://secure.example.com:{front.port(443)}/"
        status, _, body = front.curl(url, {}, *more)
        return status == 200 and json.loads(body)["version"] == "one"

    wait_until(answers, "the HTTPS listener answers")
    resolved = ("True", "ResolvedRefs")
    wait_until(lambda: front.conditions("httproute", "secure", "front")["ResolvedRefs"] == resolved, "it says so")


def test_a_new_certificate_is_shown_without_a_restart(front: Front, tmp_path: Path) -> None:
    shown = front.certificate()
    assert "secure.example.com" in shown
    make_pair(tmp_path, "renewed.example.com")
    text = front.mesh.kubectl(*front.secret(tmp_path), "--dry-run=client", "-o", "yaml")
    front.mesh.kubectl("apply", "-f", "-", given=text)
    wait_until(lambda: "renewed.example.com" in front.certificate(), "the new certificate is shown")
    text = front.mesh.kubectl(*front.secret(front.root.parent), "--dry-run=client", "-o", "yaml")
    front.mesh.kubectl("apply", "-f", "-", given=text)
    wait_until(lambda: "secure.example.com" in front.certificate(), "the old one is shown again")


def _show_a_certificate(front: Front, begun: Callable[[], dict[str, Any]]) -> None:
    """A backend that asks its clients for one gets that of the Gateway's `tls.backend`."""
    front.mesh.kubectl("set", "env", "deployment/sealed", "-n", "backend", "TLS_CLIENT_CACERTS=/pair/tls.crt")
    front.mesh.kubectl("rollout", "status", "deployment/sealed", "-n", "backend", "--timeout=120s")
    wait_until(lambda: front.get("/", host="sealed.example.com")[0] == 503, "nobody is let in without a certificate")
    backend = {"clientCertificateRef": {"name": "pair", "namespace": "backend"}}
    shown = json.dumps({"spec": {"tls": {"backend": backend}}})
    front.mesh.kubectl("patch", "gtw", "web", "-n", "front", "--type=merge", "-p", shown)
    wait_until(lambda: bool(begun().get("tls", {}).get("peerCertificates")), "the Gateway's certificate is shown")
    hidden = json.dumps({"spec": {"tls": None}})
    front.mesh.kubectl("patch", "gtw", "web", "-n", "front", "--type=merge", "-p", hidden)
    wait_until(lambda: front.get("/", host="sealed.example.com")[0] == 503, "it is not shown any more")


def test_tls_passes_through_and_is_begun_towards_backends(front: Front) -> None:
    front.mesh.kubectl("create", "configmap", "roots", "-n", "backend", f"--from-file=ca.crt={front.root}")
    front.mesh.kubectl("apply", "-f", "-", given=TLS_BACKEND)
    front.mesh.kubectl("wait", "--for=condition=Available", "deployment/sealed", "-n", "backend", "--timeout=120s")

    def passed() -> dict[str, Any]:
        more = ["--cacert", str(front.root), "--resolve", f"secure.example.com:{front.port(9443)}:127.0.0.1"]
        status, _, body = front.curl(f"https://secure.example.com:{front.port(9443)}/x", {}, *more)
        found: dict[str, Any] = json.loads(body) if status == 200 else {}
        return found

    wait_until(lambda: passed().get("path") == "/x", "TLS passes through")
    assert passed()["tls"]["serverName"] == "secure.example.com"

    def begun() -> dict[str, Any]:
        status, _, body = front.get("/y", host="sealed.example.com")
        found: dict[str, Any] = json.loads(body) if status == 200 else {}
        return found

    wait_until(lambda: begun().get("tls", {}).get("serverName") == "secure.example.com", "TLS towards the backend")
    (policy,) = front.mesh.objects("backendtlspolicy", "sealed", "-n", "backend")
    (ancestor,) = policy["status"]["ancestors"]
    assert {one["type"]: one["status"] for one in ancestor["conditions"]} == {
        "Accepted": "True",
        "ResolvedRefs": "True",
    }
    _show_a_certificate(front, begun)
    front.mesh.kubectl("delete", "configmap", "roots", "-n", "backend")
    wait_until(lambda: front.get("/", host="sealed.example.com")[0] == 500, "without roots nobody is trusted")


def test_grpc_is_routed_by_method(front: Front) -> None:
    text = (SAMPLES / "grpc-echo" / "grpc-echo.yaml").read_text()
    front.mesh.kubectl("apply", "-n", "backend", "-f", "-", given=text)
    front.mesh.kubectl("apply", "-f", "-", given=GRPC_ROUTE)
    front.mesh.kubectl("wait", "--for=condition=Available", "deployment/grpc-echo", "-n", "backend", "--timeout=120s")
    options = [("grpc.default_authority", "grpc.example.com")]

    def status(method: str) -> str:
        with grpc.insecure_channel(f"127.0.0.1:{front.port(80)}", options) as channel:
            ask = channel.unary_unary(f"/kaiki.samples.Echo/{method}")
            try:
                return "OK" if ask(b"hello", timeout=10) == b"hello" else "changed"
            except grpc.RpcError as error:
                return str(error.code().name)

    wait_until(lambda: status("Echo") == "OK", "the method is routed")
    assert status("Fail") == "UNAVAILABLE"
    assert status("Chat") == "UNIMPLEMENTED"


def test_connections_are_routed(front: Front) -> None:
    def greeted() -> bool:
        with socket.create_connection(("127.0.0.1", front.port(9000)), 10) as connection:
            connection.sendall(b"hello\n")
            return connection.makefile("rb").readline() == b"two hello\n"

    wait_until(greeted, "the TCP listener answers")


def test_a_service_is_split_in_the_mesh(front: Front) -> None:
    front.mesh.kubectl("apply", "-f", "-", given=MESH_ROUTE)

    def versions(**headers: str) -> collections.Counter[str]:
        wanted = [{"url": "http://one.backend:8080/", "headers": headers} for _ in range(40)]
        url = f"http://127.0.0.1:{front.port(80)}/relay"
        text = front.curl(url, {"host": "www.example.com"}, "-d", json.dumps(wanted))[2]
        return collections.Counter(json.loads(one["body"])["version"] for one in json.loads(text))

    wait_until(lambda: set(versions()) == {"one", "two"}, "both take requests")
    assert set(versions(to="two")) == {"two"}
    assert front.conditions("httproute", "split", "backend")["Accepted"] == ("True", "Accepted")


def test_an_ingress_leads_through_the_installations_gateway(front: Front) -> None:
    front.mesh.kubectl("apply", "-f", "-", given=INGRESS)

    def version(path: str, host: str) -> str:
        status, _, body = front.curl(f"{front.mesh.gateway}{path}", {"host": host})
        return str(json.loads(body)["version"]) if status == 200 else str(status)

    wait_until(lambda: version("/two/x", "ingress.example.com") == "two", "the Ingress routes")
    assert version("/exact", "ingress.example.com") == "two"
    assert version("/exact/x", "ingress.example.com") == "one"
    assert version("/any", "elsewhere.org") == "one"
    wait_until(
        lambda: "ingress" in front.mesh.objects("ingress", "web", "-n", "backend")[0]["status"]["loadBalancer"],
        "the Ingress says where it is reached",
    )


FIXED = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: fixed, namespace: front}}
spec:
  gatewayClassName: istio
  addresses: [{{type: IPAddress, value: {address}}}]
  listeners: [{{name: http, port: 8085, protocol: HTTP}}]
"""


def test_a_gateway_asks_for_a_certain_address(front: Front) -> None:
    """A load balancer of this machine gives addresses of the loopback, and no others."""

    def programmed() -> tuple[str, str]:
        return front.conditions("gtw", "fixed", "front").get("Programmed", ("", ""))

    front.mesh.kubectl("apply", "-f", "-", given=FIXED.format(address="127.213.5.9"))
    wait_until(lambda: programmed() == ("True", "Programmed"), "the address is had")
    (gateway,) = front.mesh.objects("gtw", "fixed", "-n", "front")
    assert gateway["status"]["addresses"] == [{"type": "IPAddress", "value": "127.213.5.9"}]
    wait_until(lambda: front.curl("http://127.213.5.9:8085/", {})[0] == 404, "the gateway answers there")
    front.mesh.kubectl("apply", "-f", "-", given=FIXED.format(address="192.0.2.1"))
    wait_until(lambda: programmed() == ("False", "AddressNotUsable"), "an address of somewhere else is not usable")
    assert front.conditions("gtw", "fixed", "front")["Accepted"] == ("True", "Accepted")
    front.mesh.kubectl("delete", "gtw", "fixed", "-n", "front")


def test_objects_of_the_gateway_api_say_where_they_are_in_force(front: Front) -> None:
    for name in ("gateways.gateway.networking.k8s.io/web", "httproute/web"):
        namespace = "front" if name.startswith("gateways") else "backend"
        assert "is in force at" in front.mesh.kaiki("wait", "-n", namespace, name)


def test_a_gateways_pods_go_with_it(front: Front) -> None:
    front.mesh.kubectl("delete", "gtw", "web", "-n", "front")
    selector = ["-n", "front", "-l", "gateway.networking.k8s.io/gateway-name=web"]
    wait_until(lambda: not front.mesh.objects("deployments,services,serviceaccounts", *selector), "all is gone")
