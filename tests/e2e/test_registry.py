"""What can be called, and by whom: ServiceEntries, WorkloadEntries and Sidecars, on real requests.

here ──▶ gateway ──▶ client (namespace near, injected) ──▶ echo-v1, echo-v2 (near)
                └──▶ client (namespace plain, not injected)
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import yaml
from mesh import SAMPLES, Mesh, wait_until
from test_routing import SERVICES, Walk, client

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def walk(mesh: Mesh) -> Walk:
    for name in ("near", "plain"):
        mesh.kubectl("create", "namespace", name)
    mesh.kubectl("label", "namespace", "near", "istio-injection=enabled")
    mesh.kubectl("apply", "-n", "near", "-f", str(SAMPLES / "echo" / "echo.yaml"))
    entrance = SERVICES.replace("host: client}", "host: client, port: {number: 8080}}").replace(
        "host: client.plain.svc.cluster.local}", "host: client.plain.svc.cluster.local, port: {number: 8080}}"
    )
    objects = [*yaml.safe_load_all(entrance), *client("near"), *client("plain")]
    mesh.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))
    for namespace in ("near", "plain"):
        mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", namespace, "--timeout=90s")
    walk = Walk(mesh)
    wait_until(lambda: walk.get("/prefix").get("status") == 200, "the client reaches echo through the gateway")
    wait_until(lambda: walk.get("/", via="plain").get("status") == 200, "the other client too")
    return walk


def address(mesh: Mesh, version: str) -> str:
    """The address of echo's pod of a version."""
    return str(mesh.pods("near", f"app=echo,version={version}")[0]["status"]["podIP"])


def apply(mesh: Mesh, text: str) -> None:
    mesh.kubectl("apply", "-f", "-", given=text)


EXTERNAL = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: external, namespace: near}}
spec:
  hosts: [my-external]
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]
  resolution: STATIC
  endpoints: [{{address: {v2}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: lines-one, namespace: near}}
spec:
  hosts: [one.lines.example]
  ports: [{{number: 9000, name: tcp, protocol: TCP}}]
  resolution: STATIC
  endpoints: [{{address: {v1}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: lines-two, namespace: near}}
spec:
  hosts: [two.lines.example]
  ports: [{{number: 9000, name: tcp, protocol: TCP}}]
  resolution: STATIC
  endpoints: [{{address: {v2}}}]
"""


def test_names_only_the_mesh_knows_get_addresses_that_tell_them_apart(walk: Walk) -> None:
    mesh = walk.mesh
    apply(mesh, EXTERNAL.format(v1=address(mesh, "v1"), v2=address(mesh, "v2")))
    wait_until(lambda: walk.get("http://my-external/x").get("status") == 200, "the name is known in the mesh")
    assert walk.said("http://my-external/x")["pod"].startswith("echo-v2")
    wait_until(
        lambda: (
            walk.send({"connect": "one.lines.example:9000", "send": "a\n", "until": "a"})[0].get("lines") == ["v1 a"]
        ),
        "bytes go to the first host",
    )
    assert walk.send({"connect": "two.lines.example:9000", "send": "a\n", "until": "a"})[0]["lines"] == ["v2 a"]
    assert "error" in walk.get("http://my-external/x", via="plain")
    entry = mesh.objects("serviceentry", "external", "-n", "near")[0]
    (given,) = entry["status"]["addresses"]
    assert given["host"] == "my-external"
    assert given["value"].startswith("240.240.")


WORKLOADS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: vms, namespace: near}}
spec:
  hosts: [vms.example]
  location: MESH_INTERNAL
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]
  resolution: STATIC
  workloadSelector: {{labels: {{app: vms}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: vm-1, namespace: near}}
spec: {{address: {v1}, labels: {{app: vms}}}}
"""


def test_workload_entries_are_endpoints_while_they_are_healthy(walk: Walk) -> None:
    mesh = walk.mesh
    apply(mesh, WORKLOADS.format(v1=address(mesh, "v1")))
    wait_until(lambda: walk.get("http://vms.example/x").get("status") == 200, "the entry is reached")
    assert walk.said("http://vms.example/x")["pod"].startswith("echo-v1")

    def set_health(status: str) -> None:
        patch = {"status": {"conditions": [{"type": "Healthy", "status": status}]}}
        arguments = ["workloadentry", "vm-1", "-n", "near", "--subresource=status", "--type=merge"]
        mesh.kubectl("patch", *arguments, "-p", json.dumps(patch))

    set_health("False")
    wait_until(lambda: walk.get("http://vms.example/x").get("status") == 503, "it is left out")
    set_health("True")
    wait_until(lambda: walk.get("http://vms.example/x").get("status") == 200, "it is back")
    mesh.kubectl("delete", "workloadentry", "vm-1", "-n", "near")
    wait_until(lambda: walk.get("http://vms.example/x").get("status") == 503, "it has gone")


SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: near}
spec:
  egress: [{hosts: ["./*", "istio-system/*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""


def test_a_sidecar_narrows_what_its_namespace_reaches(walk: Walk) -> None:
    mesh, far = walk.mesh, "http://client.plain:8080/y"
    assert walk.get(far)["status"] == 200
    apply(mesh, SIDECAR)
    wait_until(lambda: walk.get(far).get("status") == 502, "another namespace is out of reach")
    assert walk.get("/prefix")["status"] == 200
    mesh.kubectl("delete", "sidecar", "default", "-n", "near")
    wait_until(lambda: walk.get(far).get("status") == 200, "it can be reached again")


INGRESS = """
apiVersion: v1
kind: Service
metadata: {name: shifted, namespace: near}
spec: {selector: {app: echo, version: v2}, ports: [{name: http, port: 80, targetPort: 8085}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: echo-v2, namespace: near}
spec:
  workloadSelector: {labels: {app: echo, version: v2}}
  ingress:
  - {port: {number: 8085, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"}
  - {port: {number: 8080, protocol: HTTP, name: own}}
"""


def test_an_ingress_listener_leads_to_where_the_application_listens(walk: Walk) -> None:
    mesh = walk.mesh
    apply(mesh, INGRESS)
    wait_until(lambda: walk.get("http://shifted/x").get("status") == 200, "the loopback port is reached")
    assert walk.said("http://shifted/x")["pod"].startswith("echo-v2")
    mesh.kubectl("delete", "sidecar", "echo-v2", "-n", "near")
    wait_until(lambda: walk.get("http://shifted/x").get("status") == 503, "nothing listens there by itself")


GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: members, namespace: near}
spec:
  metadata: {labels: {app: member}}
  template: {serviceAccount: echo, labels: {version: v7}}
  probe: {periodSeconds: 1, failureThreshold: 1, httpGet: {path: /health, port: 7070}}
---
apiVersion: v1
kind: Service
metadata: {name: member, namespace: near}
spec: {selector: {app: member}, ports: [{name: http, port: 80, targetPort: 7070}]}
"""
MEMBER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    def do_GET(self):
        if self.path in ("/sick", "/well"):
            Handler.status = 500 if self.path == "/sick" else 200
        self.send_response(Handler.status if self.path == "/health" else 200)
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b"member")
http.server.ThreadingHTTPServer(("0.0.0.0", 7070), Handler).serve_forever()
"""


def test_a_process_of_this_machine_is_a_member_of_a_group_while_it_runs(walk: Walk) -> None:
    mesh = walk.mesh
    apply(mesh, GROUP)
    options = ["--port", "7070", "--namespace", "near", "--group", "members"]
    command = [sys.executable, "-m", "kaiki", "run", "member", *options, "--", sys.executable, "-c", MEMBER]
    process = subprocess.Popen(command, env=mesh.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: walk.get("http://member/x").get("status") == 200, "the member answers")
        assert walk.get("http://member/x")["body"] == "member"
        (entry,) = [one for one in mesh.objects("workloadentries", "-n", "near") if one["spec"].get("address")]
        assert entry["metadata"]["annotations"]["istio.io/autoRegistrationGroup"] == "members"
        assert entry["spec"]["labels"]["app"] == "member"
        walk.get("http://member/sick")
        wait_until(lambda: walk.get("http://member/x").get("status") == 503, "a member that is sick is left out")
        address = entry["spec"]["address"]
        walk.get(f"http://{address}:7070/well")
        wait_until(lambda: walk.get("http://member/x").get("status") == 200, "it is back when it is well")
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output.decode()
    wait_until(lambda: not mesh.objects("workloadentries", "-n", "near"), "the entry goes with the process")
