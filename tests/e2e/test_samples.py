"""The samples in their other forms, manifests that name public images, and processes of the user's own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mesh import REPOSITORY, SAMPLES, Mesh, wait_until

pytestmark = pytest.mark.e2e


def shows_everything(mesh: Mesh) -> bool:
    """Whether a product page has the book's details and reviews with stars."""
    status, page = mesh.get(f"{mesh.gateway}/productpage")
    return status == 200 and "Reviewer2" in page and "ISBN-10" in page


def test_polyglot_bookinfo(mesh: Mesh) -> None:
    missing = [name for name in ("ruby", "java", "node") if not shutil.which(name)]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)} (Debian: ruby, default-jdk-headless, nodejs)")
    mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
    mesh.kubectl("apply", "-f", "samples/bookinfo/platform/bookinfo-polyglot.yaml")
    mesh.kubectl("apply", "-f", "samples/bookinfo/networking/bookinfo-gateway.yaml")
    mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s")
    images = {pod["spec"]["containers"][0]["image"] for pod in mesh.pods()}
    assert {image.rpartition("-")[2].partition(":")[0] for image in images} >= {"ruby", "java", "node"}
    wait_until(lambda: shows_everything(mesh), "the page of all four languages")
    for _ in range(12):
        mesh.get(f"{mesh.gateway}/productpage")
    wait_until(lambda: len(mesh.graph()["edges"]) >= 4, "the graph has their edges")
    mesh.kubectl("delete", "-f", "samples/bookinfo/networking/bookinfo-gateway.yaml")
    mesh.kubectl("delete", "-f", "samples/bookinfo/platform/bookinfo-polyglot.yaml")
    wait_until(lambda: mesh.pods() == [], "the pods are gone")


def test_public_image_names_of_bookinfo(mesh: Mesh) -> None:
    manifest = (SAMPLES / "bookinfo" / "platform" / "bookinfo.yaml").read_text()
    public = manifest.replace("image: kaiki/examples-bookinfo", "image: docker.io/istio/examples-bookinfo")
    assert public != manifest
    mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
    mesh.kubectl("apply", "-f", "-", given=public)
    mesh.kubectl("apply", "-f", "samples/bookinfo/networking/bookinfo-gateway-v1alpha3.yaml")
    mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
    wait_until(lambda: shows_everything(mesh), "the page")


def addon(name: str, labels: dict[str, str], image: str, arguments: list[str], port: int) -> str:
    """A monitoring add-on as public manifests write it: known names and labels, a foreign image and its flags."""
    documents = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "istio-system", "labels": labels},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": port, "targetPort": port}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "istio-system", "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}},
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [
                            {
                                "name": f"{name}-server" if name == "prometheus" else name,
                                "image": image,
                                "args": arguments,
                                "ports": [{"containerPort": port}],
                            }
                        ],
                    },
                },
            },
        },
    ]
    return "\n---\n".join(json.dumps(document) for document in documents)


def test_public_monitoring_images_get_our_store_and_console(mesh: Mesh) -> None:
    metrics = {f"app.kubernetes.io/{key}": value for key, value in (("component", "server"), ("name", "prometheus"))}
    metrics["app.kubernetes.io/instance"] = "prometheus"
    console = {f"app.kubernetes.io/{key}": "kiali" for key in ("name", "instance")}
    flags = ["--config.file=/etc/config/prometheus.yml", "--storage.tsdb.path=/data"]
    mesh.kubectl("apply", "-f", "-", given=addon("prometheus", metrics, "prom/prometheus:v3.5.0", flags, 9090))
    mesh.kubectl(
        "apply", "-f", "-", given=addon("kiali", console, "quay.io/kiali/kiali:v2.17", ["-config", "/kiali"], 20001)
    )
    for name in ("prometheus", "kiali"):
        mesh.kubectl("rollout", "status", f"deployment/{name}", "-n", "istio-system", "--timeout=60s")
    mesh.get(f"{mesh.gateway}/productpage")
    wait_until(lambda: mesh.value("sum(istio_requests_total)") > 0, "the store answers for prom/prometheus", 30)
    wait_until(lambda: bool(mesh.graph()["edges"]), "the console answers for kiali/kiali", 30)


GUEST = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the guest")

print("guest is listening", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


def test_a_process_of_the_users_own_joins_the_mesh(mesh: Mesh, tmp_path: Path) -> None:
    script = tmp_path / "guest.py"
    script.write_text(GUEST)
    arguments = ["run", "guest", "--port", "8000", "--version", "v7", "--", sys.executable, str(script)]
    command = [sys.executable, "-m", "kaiki", *arguments]
    mesh.kubectl("apply", "-f", "samples/bookinfo/networking/bookinfo-gateway-v1alpha3.yaml")
    with running(command, mesh) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        assert "http://guest.default:8000" in next(lines)
        assert any("guest is listening" in line for line in lines)
        mesh.kubectl("wait", "--for=condition=Available", "deployment/guest-v7", "--timeout=60s")
        mesh.kubectl("apply", "-f", "-", given=json.dumps(route_to_guest()))
        wait_until(lambda: mesh.get(f"{mesh.gateway}/guest")[1] == "from the guest", "the guest answers")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 0, rest
    assert "guest" not in mesh.kubectl("get", "deployments,services")
    mesh.kubectl("delete", "virtualservice", "guest")


@contextmanager
def running(command: list[str], mesh: Mesh) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended whatever becomes of the test."""
    with subprocess.Popen(command, env=mesh.environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def route_to_guest() -> dict[str, object]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "guest", "namespace": "default"},
        "spec": {
            "hosts": ["*"],
            "gateways": ["bookinfo-gateway"],
            "http": [{"match": [{"uri": {"prefix": "/guest"}}], "route": [{"destination": {"host": "guest"}}]}],
        },
    }
