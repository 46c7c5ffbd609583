"""The programs that stand for the images of task pages: httpbin, fortio, helloworld, nc, nginx."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"


@contextlib.contextmanager
def program(name: str, *arguments: str, **environment: str) -> Iterator[int]:
    """Start a server of the samples on a free port; the port it says it has."""
    command = [sys.executable, "-S", "-E", str(SAMPLES / name), *arguments]
    with subprocess.Popen(
        command,
        env={"HOST": "127.0.0.1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "serves port" in line)
        try:
            yield int(line.split()[-1])
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()


def run(name: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-E", str(SAMPLES / name), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def httpbin() -> Iterator[int]:
    with program("httpbin/httpbin.py", "-port", "0", "-host", "127.0.0.1") as port:
        yield port


def ask(port: int, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_httpbin_says_what_reached_it(httpbin: int) -> None:
    status, text = ask(httpbin, "/get?a=1&a=2", x_test="yes")
    seen = json.loads(text)
    assert status == 200 and seen["args"] == {"a": ["1", "2"]} and seen["headers"]["X-Test"] == ["yes"]
    assert seen["url"] == f"http://127.0.0.1:{httpbin}/get?a=1&a=2"
    assert json.loads(ask(httpbin, "/post", "POST", '{"b": 1}')[1])["json"] == {"b": 1}
    assert ask(httpbin, "/post")[0] == 405


def test_httpbin_does_what_paths_ask_for(httpbin: int) -> None:
    assert ask(httpbin, "/status/418") == (418, "I'm a teapot!")
    assert ask(httpbin, "/status/200", "HEAD") == (200, "")
    assert ask(httpbin, "/status/99")[0] == 400 and ask(httpbin, "/nothing")[0] == 404
    assert ask(httpbin, "/delay/0")[0] == 200
    assert ask(httpbin, "/redirect/1")[0] == 302
    assert len(ask(httpbin, "/stream/3")[1].splitlines()) == 3
    right = base64.b64encode(b"u:p").decode()
    assert ask(httpbin, "/basic-auth/u/p", authorization=f"Basic {right}")[0] == 200
    assert ask(httpbin, "/basic-auth/u/p")[0] == 401
    assert ask(httpbin, "/bearer", authorization="Bearer t")[0] == 200


def test_httpbin_in_python_joins_headers_and_logs_as_gunicorn_when_asked() -> None:
    arguments = ("--python", "--access-logfile", "-", "-b", "127.0.0.1:0", "httpbin:app")
    with program("httpbin/httpbin.py", *arguments) as port:
        assert json.loads(ask(port, "/headers", x_test="yes")[1])["headers"]["X-Test"] == "yes"
        assert "teapot" in ask(port, "/status/418")[1]


def test_fortio_counts_codes(httpbin: int) -> None:
    url = f"http://127.0.0.1:{httpbin}"
    name = "httpbin/sample-client/fortio.py"
    done = run(name, "load", "-c", "2", "-qps", "0", "-n", "20", "-loglevel", "Warning", f"{url}/get")
    assert "Code 200 : 20 (100.0 %)" in done.stdout and "All done 20 calls" in done.stdout, done.stdout + done.stderr
    assert "Sockets used: 2 (for perfect keepalive, would be 2)" in done.stdout
    done = run(name, "load", "-c", "3", "-n", "7", "-qps", "0", f"{url}/status/503")
    assert "Code 503 : 7 (100.0 %)" in done.stdout
    assert sum(int(one) for one in re.findall(r"(?m), (\d+)$", done.stdout)) == 7
    done = run(name, "curl", "-quiet", f"{url}/get")
    assert done.stdout.startswith("HTTP/1.1 200 OK\n") and '"url"' in done.stdout
    assert run(name, "fly").returncode == 2 and run(name, "load", "-c").returncode == 2


def test_helloworld_says_its_version() -> None:
    with program("helloworld/helloworld.py", PORT="0", SERVICE_VERSION="v2", HOSTNAME="pod-1") as port:
        assert ask(port, "/hello") == (200, "Hello version: v2, instance: pod-1\n")
        assert ask(port, "/")[0] == 404


def test_helloworld_manifests_are_made_for_a_version_and_a_locality() -> None:
    made = subprocess.run(
        [SAMPLES / "helloworld" / "gen-helloworld.sh", "--version", "region1.zone1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "name: helloworld-region1.zone1" in made and "istio-locality: region1.zone1" in made
    assert made.count("kind: ") == 2


def test_nc_carries_input_and_output() -> None:
    with program("tcp-echo/tcp_echo.py", "0", "one") as port:
        assert run("curl/nc.py", "127.0.0.1", str(port), given="hello\n").stdout == "one hello\n"
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    assert run("curl/nc.py", "127.0.0.1", str(number)).returncode == 1


def test_time_says_how_long_a_command_took() -> None:
    done = run("curl/time.py", sys.executable, "-c", "raise SystemExit(3)")
    assert done.returncode == 3 and re.search(r"(?m)^real\t0m [0-9.]+s$", done.stderr)
    assert run("curl/time.py", "/no/such/program").returncode == 127


CONFIG = """
events {
}
http {
  log_format main '$remote_addr - "$request"';
  server {
    listen 0 ssl;   # any
    gzip on;
    server_name nginx.example.com;
    ssl_certificate FOLDER/server.crt;
    ssl_certificate_key FOLDER/server.key;
    ssl_client_certificate FOLDER/server.crt;
    ssl_verify_client VERIFY;
  }
}
"""


def certificate(folder: Path) -> None:
    subprocess.run(
        "openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=nginx.example.com "
        "-keyout server.key -out server.crt",
        shell=True,
        cwd=folder,
        capture_output=True,
        check=True,
    )


@pytest.mark.parametrize("verify", ["off", "on"])
def test_nginx_serves_by_its_config(tmp_path: Path, verify: str) -> None:
    certificate(tmp_path)
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.replace("FOLDER", str(tmp_path)).replace("VERIFY", verify))
    context = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    context.check_hostname = False
    with program("nginx/nginx.py", "-c", str(config)) as port:

        def get() -> tuple[int, str]:
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
            connection.request("GET", "/")
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, text

        status, text = get()
        if verify == "on":
            assert status == 400 and "No required SSL certificate" in text
            context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
            status, text = get()
        assert status == 200 and "Welcome to nginx!" in text


def test_nginx_names_what_is_wrong_with_its_config(tmp_path: Path) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text("http { server { listen 80; ")
    done = run("nginx/nginx.py", "-c", str(config))
    assert done.returncode == 1 and "the end comes too early" in done.stderr
