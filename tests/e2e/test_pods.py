"""Pods as far as processes can be pods, in a whole mesh: ports on the loopback, images without an entry in the map."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from mesh import REPOSITORY, Mesh, wait_until

pytestmark = pytest.mark.e2e

SERVER = """
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the loopback")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""


def shy(name: str, inject: bool) -> str:
    """A Deployment and a Service of an application that listens on 127.0.0.1."""
    container = {
        "name": "app",
        "image": "kaiki/host:any",
        "command": [sys.executable, "-S", "-c", SERVER],
        "ports": [{"containerPort": 8000}],
    }
    labels = {"app": name, "sidecar.istio.io/inject": str(inject).lower()}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    ports = [{"name": "http", "port": 80, "targetPort": 8000}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [deployment, service]})


@pytest.fixture(scope="module")
def pods(mesh: Mesh) -> Mesh:
    """An injected client, to call from."""
    mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
    mesh.kubectl("apply", "-f", "samples/curl")
    mesh.kubectl("rollout", "status", "deployment/curl", "--timeout=90s")
    return mesh


def call(mesh: Mesh, url: str) -> str:
    return mesh.kubectl("exec", "deploy/curl", "-c", "curl", "--", "curl", "-sS", "-m", "5", url, check=False)


@pytest.mark.parametrize("inject", [True, False], ids=["with a sidecar", "without"])
def test_an_application_on_the_loopback_only(pods: Mesh, inject: bool) -> None:
    name = "shy" if inject else "bare"
    pods.kubectl("apply", "-f", "-", given=shy(name, inject))
    pods.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s")

    def told() -> bool:
        return "8000: the application listens on 127.0.0.1 only" in pods.kubectl("describe", "pod", "-l", f"app={name}")

    wait_until(told, "the pod says why nobody reaches it")
    assert "from the loopback" not in call(pods, f"http://{name}/")
    pages = [f"/api/details/workload/default/{name}", f"/api/workloads/default/{name}"]

    def shown(ports: list[int]) -> bool:
        return [one["loopbackPorts"] for one in pods.console(pages[1])["pods"]] == [ports]

    wait_until(lambda: shown([8000]), "the console shows it")
    pods.kubectl("annotate", "pod", "-l", f"app={name}", "kaiki.io/reach-loopback=true")
    wait_until(lambda: "from the loopback" in call(pods, f"http://{name}/"), "it is reached")
    wait_until(lambda: shown([]), "the console is content")
    pods.kubectl("annotate", "pod", "-l", f"app={name}", "kaiki.io/reach-loopback-")
    wait_until(lambda: "from the loopback" not in call(pods, f"http://{name}/"), "it is hidden again")


@pytest.fixture
def guest(pods: Mesh) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the user's own that listens on 127.0.0.1, run in the mesh."""
    command = [sys.executable, "-m", "kaiki", "run", "mine", "--port", "8000", "--", sys.executable, "-c", SERVER]
    process = subprocess.Popen(command, env=pods.environment, cwd=REPOSITORY)
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


@pytest.mark.usefixtures("guest")
def test_a_program_of_the_users_own_needs_no_annotation(pods: Mesh) -> None:
    wait_until(lambda: "from the loopback" in call(pods, "http://mine:8000/"), "it is reached")
