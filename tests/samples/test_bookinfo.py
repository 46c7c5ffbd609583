"""Bookinfo's services, started as the image map starts them, in every language the machine has."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BOOKINFO = Path(__file__).parents[2] / "samples" / "bookinfo"
PYTHON = [sys.executable, "-S", "-E"]
COMMANDS = {
    "details": [*PYTHON, str(BOOKINFO / "src" / "details.py")],
    "reviews": [*PYTHON, str(BOOKINFO / "src" / "reviews.py")],
    "ratings": [*PYTHON, str(BOOKINFO / "src" / "ratings.py")],
    "productpage": [*PYTHON, str(BOOKINFO / "src" / "productpage.py")],
    "details-ruby": ["ruby", str(BOOKINFO / "polyglot" / "details.rb")],
    "reviews-java": ["java", "-XX:TieredStopAtLevel=1", str(BOOKINFO / "polyglot" / "Reviews.java")],
    "ratings-node": ["node", str(BOOKINFO / "polyglot" / "ratings.js")],
}
POLYGLOT = ["details-ruby", "reviews-java", "ratings-node"]
STARS = {"Reviewer1": 5, "Reviewer2": 4}


@contextlib.contextmanager
def service(name: str, **environment: str) -> Iterator[int]:
    """Start a service on a port the system chooses; it is told to stop, and has to."""
    command = [*COMMANDS[name], "0"]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on this machine")
    given = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", **environment}
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = re.search(r"(\d+)\s*$", process.stdout.readline())
            assert port, f"{name} did not start"
            yield int(port[1])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            finally:
                process.kill()  # One that does not stop must not hold up the tests.


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def ask_json(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    status, body, _ = ask(port, path, headers=headers)
    return status, json.loads(body)


def at(name: str, port: int) -> dict[str, str]:
    return {f"{name.upper()}_HOSTNAME": "127.0.0.1", f"{name.upper()}_PORT": str(port)}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "productpage"])
def test_every_service_is_healthy_and_refuses_other_paths(name: str) -> None:
    with service(name) as port:
        assert ask_json(port, "/health") == (200, {"status": "healthy"})
        assert ask_json(port, "/nothing")[0] == 404


@pytest.mark.parametrize("name", POLYGLOT)
def test_other_languages_answer_the_same(name: str) -> None:
    path = f"/{name.split('-')[0]}/7"
    with service(name, SERVICE_VERSION="v1") as other, service(name.split("-")[0], SERVICE_VERSION="v1") as ours:
        assert ask_json(other, path) == ask_json(ours, path)


@pytest.mark.parametrize("name", ["reviews", "reviews-java"])
@pytest.mark.parametrize(("version", "color"), [("v1", None), ("v2", "black"), ("v3", "red")])
def test_stars_depend_on_the_version(name: str, version: str, color: str | None) -> None:
    with service("ratings") as ratings, service(name, SERVICE_VERSION=version, **at("ratings", ratings)) as port:
        status, answer = ask_json(port, "/reviews/0")
    assert status == 200 and answer["id"] == "0"
    found = {review["reviewer"]: review.get("rating") for review in answer["reviews"]}
    assert found == {who: color and {"stars": stars, "color": color} for who, stars in STARS.items()}


@pytest.mark.parametrize("name", ["reviews", "reviews-java"])
def test_reviews_are_shown_without_stars_when_ratings_fail(name: str) -> None:
    with service(name, SERVICE_VERSION="v2", **at("ratings", closed_port())) as port:
        status, answer = ask_json(port, "/reviews/0")
    assert status == 200
    assert all("error" in review["rating"] for review in answer["reviews"])


@pytest.mark.parametrize("name", ["ratings", "ratings-node"])
def test_ratings_can_be_given_and_checked(name: str) -> None:
    with service(name) as port:
        assert ask(port, "/ratings/3", "POST", b'{"Reviewer1": 1}')[0] == 200
        assert ask_json(port, "/ratings/3") == (200, {"id": 3, "ratings": {"Reviewer1": 1}})
        assert ask_json(port, "/ratings/4") == (200, {"id": 4, "ratings": STARS})
        for bad in (b"", b"[]", b'{"Reviewer1": 9}', b'{"Reviewer1": "x"}'):
            assert ask(port, "/ratings/3", "POST", bad)[0] == 400


@pytest.mark.parametrize("name", ["ratings", "ratings-node"])
def test_ratings_fail_in_the_share_they_are_told(name: str) -> None:
    with service(name, RATINGS_FAULT_PERCENT="50") as port:
        codes = [ask(port, "/ratings/0")[0] for _ in range(10)]
    assert codes.count(503) == 5 and codes.count(200) == 5


@pytest.fixture
def bookinfo() -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        ratings = stack.enter_context(service("ratings"))
        reviews = stack.enter_context(service("reviews", SERVICE_VERSION="v3", **at("ratings", ratings)))
        details = stack.enter_context(service("details"))
        peers = at("ratings", ratings) | at("reviews", reviews) | at("details", details)
        yield stack.enter_context(service("productpage", **peers))


def test_the_page_shows_its_parts(bookinfo: int) -> None:
    status, body, headers = ask(bookinfo, "/productpage")
    page = body.decode()
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert "<title>Simple Bookstore App</title>" in page
    assert "William Shakespeare" in page and 'class="stars red"' in page and "★★★★☆" in page
    assert ask_json(bookinfo, "/api/v1/products")[1][0]["id"] == 0
    assert ask_json(bookinfo, "/api/v1/products/0")[1]["author"] == "William Shakespeare"
    assert ask_json(bookinfo, "/api/v1/products/0/ratings")[1]["ratings"] == STARS
    assert b'requests_total{code="200"} 1' in ask(bookinfo, "/metrics")[1]


def test_signing_in_and_out(bookinfo: int) -> None:
    status, _, headers = ask(bookinfo, "/login", "POST", b"username=jason&passwd=x")
    assert status == 302 and headers["location"] == "/productpage"
    cookie = headers["set-cookie"].split(";")[0]
    assert "jason" in ask(bookinfo, "/productpage", headers={"Cookie": cookie})[1].decode()
    assert "Max-Age=0" in ask(bookinfo, "/logout")[2]["set-cookie"]
    evil = ask(bookinfo, "/productpage", headers={"Cookie": "user=<script>"})[1].decode()
    assert "<script>" not in evil


def test_the_page_survives_its_parts() -> None:
    missing = closed_port()
    with service("productpage", **at("details", missing), **at("reviews", missing)) as port:
        status, body, _ = ask(port, "/productpage")
        assert status == 200
        assert b"No details at the moment" in body and b"Error fetching product reviews!" in body
        assert ask(port, "/api/v1/products/0/reviews")[0] == 503


class Recorder:
    """A stand-in for reviews and details that keeps the head of each request."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = int(self.listener.getsockname()[1])

    def take(self) -> str:
        peer, _ = self.listener.accept()
        with peer:
            head = peer.recv(65536).decode().lower()
            peer.sendall(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            )
        return head


def test_tracing_headers_and_the_user_travel_on() -> None:
    recorder = Recorder()
    with contextlib.closing(recorder.listener), service("productpage", **at("details", recorder.port)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        sent = {"traceparent": "00-abc-def-01", "X-Request-Id": "r1", "B3": "1", "X-Other": "no", "End-User": "forged"}
        connection.request("GET", "/api/v1/products/0", headers={**sent, "Cookie": "user=jason"})
        head = recorder.take()
        assert connection.getresponse().status == 200
        connection.close()
    assert "traceparent: 00-abc-def-01" in head and "x-request-id: r1" in head and "\r\nb3: 1" in head
    assert "end-user: jason" in head and "forged" not in head and "x-other" not in head


@pytest.mark.parametrize(
    "text", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: -5\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a" * 70000]
)
def test_nonsense_is_refused_and_nothing_breaks(text: bytes) -> None:
    with service("details") as port:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(text)
            assert b" 400 " in (answer := client.recv(4096)) or b" 413 " in answer
        assert ask(port, "/health")[0] == 200


def test_one_connection_serves_many_requests() -> None:
    with service("details") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(3):
            connection.request("GET", "/details/1")
            assert json.loads(connection.getresponse().read())["id"] == 1
        connection.request("HEAD", "/details/1")
        assert connection.getresponse().read() == b""
        connection.close()
