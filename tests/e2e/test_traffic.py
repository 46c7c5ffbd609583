"""What the mesh says of traffic is what was sent: counts, edges, bytes, delays, identities."""

from __future__ import annotations

import collections
import json
import re
import time

import pytest
from mesh import SAMPLES, Mesh, wait_until

pytestmark = pytest.mark.e2e

PAGES = 60
EDGES = 'sum by (source_workload, destination_workload) (istio_requests_total{reporter="%s"})'
Edges = dict[tuple[str, str], float]


def edges(mesh: Mesh, reporter: str) -> Edges:
    """Requests counted so far, by (source, destination) workload."""
    rows = mesh.query(EDGES % reporter)
    return {
        (row["metric"]["source_workload"], row["metric"]["destination_workload"]): float(row["value"][1])
        for row in rows
    }


def settled(mesh: Mesh) -> dict[str, Edges]:
    """The counts when no more arrive: equal in two readings more than a flush and a scrape apart."""
    previous: dict[str, Edges] = {}
    while True:
        current = {reporter: edges(mesh, reporter) for reporter in ("source", "destination")}
        if current == previous:
            return current
        previous = current
        time.sleep(6)


def difference(after: Edges, before: Edges) -> Edges:
    return {edge: value - before.get(edge, 0.0) for edge, value in after.items() if value != before.get(edge, 0.0)}


def stars(page: str) -> str:
    """What the reviews' stars look like: none, black or red."""
    if "color-red" in page or "red" in re.findall(r'class="stars (\w+)"', page):
        return "red"
    return "black" if 'class="stars' in page or "glyphicon-star" in page else "none"


def test_pages_graph_and_counts_are_exact(bookinfo: Mesh) -> None:
    before = settled(bookinfo)
    seen: collections.Counter[str] = collections.Counter()
    for _ in range(PAGES):
        status, page = bookinfo.get(f"{bookinfo.gateway}/productpage")
        assert status == 200
        seen[stars(page)] += 1
    after = settled(bookinfo)

    assert set(seen) == {"none", "black", "red"}
    for reporter in ("source", "destination"):
        sent = difference(after[reporter], before[reporter])
        reviews = {edge[1]: count for edge, count in sent.items() if edge[1].startswith("reviews")}
        assert sent == {
            ("istio-ingressgateway", "productpage-v1"): PAGES,
            ("productpage-v1", "details-v1"): PAGES,
            ("productpage-v1", "reviews-v1"): seen["none"],
            ("productpage-v1", "reviews-v2"): seen["black"],
            ("productpage-v1", "reviews-v3"): seen["red"],
            ("reviews-v2", "ratings-v1"): reviews["reviews-v2"],
            ("reviews-v3", "ratings-v1"): reviews["reviews-v3"],
        }, reporter


def test_graph_has_exactly_bookinfos_edges(bookinfo: Mesh) -> None:
    for _ in range(20):
        bookinfo.get(f"{bookinfo.gateway}/productpage")
    expected = {
        ("istio-ingressgateway", "productpage-v1"),
        ("productpage-v1", "details-v1"),
        ("productpage-v1", "reviews-v1"),
        ("productpage-v1", "reviews-v2"),
        ("productpage-v1", "reviews-v3"),
        ("reviews-v2", "ratings-v1"),
        ("reviews-v3", "ratings-v1"),
    }

    def drawn() -> set[tuple[str, str]]:
        graph = bookinfo.graph("120s")
        names = {node["id"]: node.get("workload") or node.get("service") or node["id"] for node in graph["nodes"]}
        return {(names[edge["source"]], names[edge["target"]]) for edge in graph["edges"]}

    wait_until(lambda: drawn() == expected, "the graph has Bookinfo's edges and no other", 30)


def test_both_ends_report_mutual_tls(bookinfo: Mesh) -> None:
    bookinfo.get(f"{bookinfo.gateway}/productpage")
    rows = bookinfo.query(
        "count by (connection_security_policy, source_principal, destination_principal) "
        '(istio_requests_total{destination_workload=~"reviews-.*", reporter="destination"})'
    )
    assert {
        (
            row["metric"]["connection_security_policy"],
            row["metric"]["source_principal"],
            row["metric"]["destination_principal"],
        )
        for row in rows
    } == {
        (
            "mutual_tls",
            "spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
            "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
        )
    }
    graph = bookinfo.graph("300s")
    assert graph["edges"]
    assert all(edge["mtlsRatio"] == 1 for edge in graph["edges"]), graph["edges"]


CERTIFICATE_SCRIPT = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["istio"])
with socket.create_connection((sys.argv[1], 9080), timeout=10) as plain:
    with context.wrap_socket(plain) as secure:
        print(ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True)))
"""


def run_pod(mesh: Mesh, name: str, command: list[str], namespace: str = "default", inject: bool = False) -> str:
    """Run a command of this machine as a pod until it has ended; answers its output."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"sidecar.istio.io/inject": str(inject).lower()}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "kaiki/host:local", "command": command}],
        },
    }
    mesh.kubectl("apply", "-f", "-", given=json.dumps(pod))
    try:
        mesh.kubectl(
            "wait", f"pod/{name}", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"
        )
        return mesh.kubectl("logs", name, "-n", namespace, "-c", "main")
    finally:
        mesh.kubectl("delete", "pod", name, "-n", namespace, "--wait=true")


def test_certificates_on_the_wire_carry_the_workloads_identity(bookinfo: Mesh) -> None:
    from cryptography import x509

    pod = bookinfo.pods(selector="app=reviews,version=v1")[0]
    command = ["python3", "-c", CERTIFICATE_SCRIPT, pod["status"]["podIP"]]
    certificate = x509.load_pem_x509_certificate(run_pod(bookinfo, "certificate-reader", command).encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == ["spiffe://cluster.local/ns/default/sa/bookinfo-reviews"]


TCP_SCRIPT = """
import socket, sys, time
with socket.create_connection(("tcp-echo", 9000), timeout=10) as connection:
    lines = connection.makefile("rwb", buffering=0)
    for number in range(int(sys.argv[1])):
        lines.write(b"x" * 99 + b"\\n")
        assert lines.readline().endswith(b"x\\n")
    print("sent", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def wait_for_value(mesh: Mesh, expression: str, value: float, what: str) -> None:
    wait_until(lambda: mesh.value(expression) == value, what, 60)


def test_tcp_bytes_are_exact_and_show_while_the_connection_lives(bookinfo: Mesh) -> None:
    mesh, lines = bookinfo, 500
    mesh.kubectl("apply", "-f", str(SAMPLES / "tcp-echo" / "tcp-echo.yaml"))
    mesh.kubectl("rollout", "status", "deployment/tcp-echo", "--timeout=60s")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tcp-client", "labels": {"app": "tcp-client"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": "kaiki/host:local",
                    "command": ["python3", "-c", TCP_SCRIPT, str(lines), "600"],
                }
            ],
        },
    }
    mesh.kubectl("apply", "-f", "-", given=json.dumps(pod))
    for reporter in ("source", "destination"):
        labels = f'{{reporter="{reporter}", source_workload="tcp-client", destination_service_name="tcp-echo"}}'
        received = f"sum(istio_tcp_received_bytes_total{labels})"
        wait_for_value(mesh, received, lines * 100, f"all bytes of a living connection at the {reporter}")
        assert mesh.value(f"sum(istio_tcp_connections_opened_total{labels})") == 1
        assert mesh.value(f"sum(istio_tcp_connections_closed_total{labels})") == 0
        assert mesh.value(f"sum(istio_tcp_sent_bytes_total{labels})") >= lines * 100
    mesh.kubectl("delete", "pod", "tcp-client", "--grace-period=1")
    closed = 'sum(istio_tcp_connections_closed_total{reporter="destination", source_workload="tcp-client"})'
    wait_until(lambda: mesh.value(closed) == 1, "the connection is counted as closed", 60)


def test_a_delay_shows_on_its_edge_only(bookinfo: Mesh) -> None:
    mesh = bookinfo
    delay = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "details-delay", "namespace": "default"},
        "spec": {
            "hosts": ["details"],
            "http": [
                {
                    "fault": {"delay": {"percentage": {"value": 100}, "fixedDelay": "2s"}},
                    "route": [{"destination": {"host": "details"}}],
                }
            ],
        },
    }
    mesh.kubectl("apply", "-f", "-", given=json.dumps(delay))
    try:
        started = time.monotonic()

        def p95() -> dict[str, float]:
            assert mesh.get(f"{mesh.gateway}/productpage")[0] == 200
            graph = mesh.graph(f"{max(15, int(time.monotonic() - started))}s")
            names = {node["id"]: node.get("workload") for node in graph["nodes"]}
            return {
                f"{names[edge['source']]}>{names[edge['target']]}": edge["p95Milliseconds"] or 0.0
                for edge in graph["edges"]
            }

        wait_until(lambda: p95().get("productpage-v1>details-v1", 0) >= 1900, "the delayed edge's p95", 90)
        others = {
            edge: value for edge, value in p95().items() if edge.startswith(("productpage-v1>reviews", "reviews"))
        }
        assert others
        assert all(value < 1000 for value in others.values()), others
    finally:
        mesh.kubectl("delete", "virtualservice", "details-delay")
