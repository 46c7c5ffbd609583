"""The tag of all labels, taken apart again by the real Envoy."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import real_envoy

from kaiki.translate.bootstrap import BootstrapSettings, bootstrap
from kaiki.translate.features.compact_labels import TAG, compact_format
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.telemetry import labels

REVIEWS = "reviews-v1;shop;reviews;v1;reviews;v1;Kubernetes"
RATINGS = "ratings-v1;shop;ratings;v1;ratings;v1;Kubernetes"
SERVICE = "ratings.shop.svc.cluster.local;ratings;shop"
REVIEWS_PRINCIPAL, RATINGS_PRINCIPAL = "spiffe://cluster.local/ns/shop/sa/a", "spiffe://cluster.local/ns/shop/sa/b"


def compact(*parts: str) -> str:
    return f'{TAG}="{"|".join(parts)}"'


CALL = compact(
    "source", REVIEWS, RATINGS, SERVICE, "-", "unknown", "http", "200", "", REVIEWS_PRINCIPAL, RATINGS_PRINCIPAL
)
"""A call inside the mesh, as the source tells it."""
STRANGE = compact("source", REVIEWS, "-", "-", "UH", "unknown", "grpc", "503", "14", "-", "a|b")
"""A call that found nobody, but for a certificate with the divider in its name."""


class Upstream(BaseHTTPRequestHandler):
    """Answers with `body` in pieces of odd sizes, so that lines are cut anywhere."""

    protocol_version = "HTTP/1.1"
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(self.body), 701):
            piece = self.body[start : start + 701]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def proxy(admin_port: int, folder: Path) -> Iterator[int]:
    """A real Envoy with the listener of 15020 at a free port, and another `admin` behind it; gives the port."""
    from kaiki.model.proxy import Capture
    from kaiki.model.workload import ProxyKind

    static = bootstrap(BootstrapSettings(ProxyKind.SIDECAR, Capture.NONE))["static_resources"]
    listener = next(one for one in static["listeners"] if one["name"] == "status")
    cluster = next(one for one in static["clusters"] if one["name"] == "admin")
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"]["socket_address"]["port_value"] = admin_port
    document = {
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
    }
    address_file = folder / "admin"
    command = [str(real_envoy.ENVOY), "--config-yaml", json.dumps(document), "--concurrency", "1", "-l", "error"]
    envoy = subprocess.Popen([*command, "--disable-hot-restart", "--admin-address-path", str(address_file)])
    try:
        yield status_port(envoy, address_file)
    finally:
        envoy.terminate()
        envoy.wait(20)


def status_port(envoy: subprocess.Popen[bytes], address_file: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and envoy.poll() is None:
        if address_file.exists() and (address := address_file.read_text()):
            answer = json.loads(get(int(address.rpartition(":")[2]), "/listeners?format=json"))
            for one in answer.get("listener_statuses", []):
                return int(one["local_address"]["socket_address"]["port_value"])
        time.sleep(0.05)
    raise AssertionError("Envoy never listened")


def get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def labels_of(line: str) -> dict[str, str]:
    inside = line[line.index("{") + 1 : line.rindex("}")]
    return {name: value.strip('"') for name, _, value in (part.partition("=") for part in inside.split(","))}


def test_a_scrape_shows_the_labels_of_istio(upstream: ThreadingHTTPServer, tmp_path: Path) -> None:
    plain = 'envoy_server_live{node="a"} 1\n'
    histogram = f'istio_request_bytes_bucket{{{STRANGE},le="0.5"}} 0\n'
    counters = [f"istio_requests_total{{{CALL}}} {number}\n" for number in range(200)]
    Upstream.body = (plain + "".join(counters) + histogram).encode()
    with proxy(upstream.server_port, tmp_path) as port:
        lines = get(port, "/stats/prometheus").splitlines()
    assert lines[0] + "\n" == plain
    assert [line.rpartition(" ")[2] for line in lines[1:-1]] == [str(number) for number in range(200)]
    assert len({line.rpartition(" ")[0] for line in lines[1:-1]}) == 1
    assert labels_of(lines[1]) == {
        "reporter": "source",
        **side("source", REVIEWS),
        **side("destination", RATINGS),
        "destination_service": "ratings.shop.svc.cluster.local",
        "destination_service_name": "ratings",
        "destination_service_namespace": "shop",
        "response_flags": "-",
        "connection_security_policy": "unknown",
        "request_protocol": "http",
        "response_code": "200",
        "source_principal": REVIEWS_PRINCIPAL,
        "destination_principal": RATINGS_PRINCIPAL,
    }
    strange = labels_of(lines[-1])
    assert strange.pop("le") == "0.5"
    assert strange["grpc_response_status"] == "14"
    assert strange["response_flags"] == "UH"
    assert (strange["source_principal"], strange["destination_principal"]) == ("unknown", "a|b")
    unknown = {name for name, value in strange.items() if value == "unknown"}
    assert unknown >= {*side("destination", ""), "destination_service", "destination_service_namespace"}


def side(name: str, values: str) -> dict[str, str]:
    fields = (
        "workload",
        "workload_namespace",
        "app",
        "version",
        "canonical_service",
        "canonical_revision",
        "cluster",
    )
    return dict(zip((f"{name}_{field}" for field in fields), values.split(";") + [""] * 7, strict=False))


@pytest.mark.parametrize("reporter", list(Reporter))
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_tag_has_a_place_for_every_label(reporter: Reporter, protocol: str) -> None:
    parts = compact_format(reporter, protocol).split("|")
    assert len(parts) == 11
    by_name = dict(labels(reporter))
    assert (parts[0], parts[5]) == (by_name["reporter"], by_name["connection_security_policy"])
    assert (parts[6], bool(parts[8])) == (protocol, protocol == "grpc")
