"""Into running pods with the real kubectl: exec, attach, cp, port-forward; and what is left when clients vanish."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mesh import BINARIES, Mesh, wait_until

pytestmark = pytest.mark.e2e

APP = "examples-bookinfo-details-v1"
ECHO = """
import socketserver, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        body = self.rfile.read()  # until the client has said all
        self.wfile.write(b"%d:" % len(body) + body)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128
Server(("127.0.0.1", 7000), Handler).serve_forever()
"""
ECHO_POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: echo, labels: {{app: echo}}}}
spec:
  containers:
  - name: echo
    image: kaiki/kaiki:any
    command: [python3, -S, -c, {json.dumps(ECHO)}]
    workingDir: /usr
    env: [{{name: COLOUR, value: blue}}]
"""


SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}


@pytest.fixture(params=["websocket", "spdy"])
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, streams: Mesh) -> str:
    """Streams as kubectl speaks them today, and as it did before 1.30 and Go programs still do."""
    for name, value in (SPDY if request.param == "spdy" else {}).items():
        monkeypatch.setitem(streams.environment, name, value)
    return str(request.param)


@pytest.fixture(scope="module")
def streams(mesh: Mesh) -> Mesh:
    """An injected Deployment `web`, and a pod `echo` that listens on its loopback only."""
    mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
    mesh.kubectl("create", "deployment", "web", f"--image=kaiki/{APP}:1", "--port=9080")
    mesh.kubectl("expose", "deployment", "web", "--port=80", "--target-port=9080")
    mesh.kubectl("apply", "-f", "-", given=ECHO_POD)
    mesh.kubectl("rollout", "status", "deployment/web")
    mesh.kubectl("wait", "pod/echo", "--for=condition=Ready", "--timeout=60s")
    return mesh


def run(mesh: Mesh, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """kubectl's output and errors apart, and its exit code."""
    environment = mesh.environment | {"KUBECONFIG": str(mesh.home / "kubeconfig")}
    command = [str(BINARIES / "kubectl"), *arguments]
    return subprocess.run(command, env=environment, input=given, capture_output=True, timeout=60, check=False)


def start(mesh: Mesh, *arguments: str) -> subprocess.Popen[bytes]:
    environment = mesh.environment | {"KUBECONFIG": str(mesh.home / "kubeconfig")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([str(BINARIES / "kubectl"), *arguments], env=environment, **pipes)  # type: ignore[call-overload,no-any-return]


@contextlib.contextmanager
def forwarded(mesh: Mesh, target: str, port: int) -> Iterator[int]:
    """A port-forward of kubectl's, and the local port it chose; ended by Ctrl-C."""
    process = start(mesh, "port-forward", target, f":{port}", "--address=127.0.0.1")
    assert process.stdout
    try:
        line = process.stdout.readline().decode()
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> ", line)
        assert found, line + process.stdout.read().decode()
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.usefixtures("spoken")
def test_output_errors_and_exit_codes(streams: Mesh) -> None:
    done = run(streams, "exec", "deploy/web", "-c", APP, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert done.stderr == b"err\ncommand terminated with exit code 7\n"
    missing = run(streams, "exec", "deploy/web", "-c", APP, "--", "no-such-program")
    assert missing.returncode == 1
    assert b"no-such-program" in missing.stderr
    assert (
        b"container nobody is not valid for pod echo" in run(streams, "exec", "echo", "-c", "nobody", "--", "ls").stderr
    )
    assert run(streams, "exec", "echo", "-c", "echo", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_it_is_the_containers_own_world(streams: Mesh) -> None:
    look = 'echo "$COLOUR $(pwd) $(hostname) $(id -u)"; ls /proc | grep -c "^1$"'
    text = run(streams, "exec", "echo", "-c", "echo", "--", "sh", "-c", look).stdout.decode()
    assert re.fullmatch(r"blue /usr echo [1-9]\d*\n1\n", text), text
    proxy = run(streams, "exec", "deploy/web", "-c", "istio-proxy", "--", "curl", "-s", "localhost:15000/ready")
    assert proxy.stdout == b"LIVE\n"
    mesh_call = run(streams, "exec", "deploy/web", "-c", APP, "--", "curl", "-sS", "http://web/details/0")
    assert b"William Shakespeare" in mesh_call.stdout, mesh_call


@pytest.mark.usefixtures("spoken")
def test_input_ends_where_the_clients_ends(streams: Mesh) -> None:
    data = os.urandom(3 << 20)
    done = run(streams, "exec", "-i", "echo", "-c", "echo", "--", "sha256sum", given=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


@pytest.mark.usefixtures("spoken")
def test_a_terminal(streams: Mesh) -> None:
    ours, theirs = pty.openpty()
    environment = streams.environment | {"KUBECONFIG": str(streams.home / "kubeconfig"), "TERM": "xterm"}
    command = [str(BINARIES / "kubectl"), "exec", "-it", "echo", "-c", "echo", "--", "sh"]
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, b"test -t 0 && echo terminal-$((40 + 2)); exit 5\n")
    text = b""
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 4096):
            text += piece
    os.close(ours)
    assert b"terminal-42" in text
    assert process.wait(timeout=30) == 5


@pytest.mark.usefixtures("spoken")
def test_copies_both_ways(streams: Mesh, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "big").write_bytes(os.urandom(2 << 20))
    (folder / "small").write_text("small")
    there = f"/tmp/kaiki-copied-{os.getpid()}"
    try:
        for container in ("echo", "istio-proxy"):
            assert run(streams, "cp", str(folder), f"echo:{there}", "-c", container).returncode == 0
            back = tmp_path / f"back-{container}"
            assert run(streams, "cp", f"echo:{there}", str(back), "-c", container).returncode == 0
            assert (back / "big").read_bytes() == (folder / "big").read_bytes()
            assert (back / "small").read_text() == "small"
            run(streams, "exec", "echo", "-c", container, "--", "rm", "-r", there)
    finally:
        run(streams, "exec", "echo", "-c", "echo", "--", "rm", "-rf", there)


@pytest.mark.usefixtures("spoken")
def test_a_client_that_vanishes_ends_what_it_started(streams: Mesh) -> None:
    def running() -> int:
        """Zombies do not count: a container's first process may not care for what it did not start."""
        look = "ps -eo stat=,comm= | grep -v ^Z | grep -c 'sleep$'"
        return int(run(streams, "exec", "echo", "-c", "echo", "--", "sh", "-c", look).stdout)

    process = start(streams, "exec", "echo", "-c", "echo", "--", "sh", "-c", "trap '' HUP; sleep 4000 & sleep 4001")
    wait_until(lambda: running() == 2, "both run")
    process.kill()
    process.communicate()
    wait_until(lambda: running() == 0, "nothing of it runs any more")


@pytest.mark.usefixtures("spoken")
def test_attached_to_what_runs(streams: Mesh) -> None:
    arguments = ("run", "shell", "-i", "--rm", "--restart=Never", "--image=kaiki/kaiki:any", "--command", "--", "sh")
    process = start(streams, *arguments)
    assert process.stdin and process.stdout
    process.stdin.write(b"echo marker-$((40 + 2))\n")
    process.stdin.flush()
    text = b""
    while b"marker-42" not in text:
        line = process.stdout.readline()
        assert line, text
        text += line
    process.stdin.write(b"exit 3\n")
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert "not found" in streams.kubectl("get", "pod", "shell", check=False)


def talk(port: int, data: bytes) -> bytes:
    """Send all, close that half, read all."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


@pytest.mark.usefixtures("spoken")
def test_ports_forwarded_to_a_pods_loopback(streams: Mesh) -> None:
    with forwarded(streams, "pod/echo", 7000) as port:
        assert talk(port, b"hello") == b"5:hello"
        payloads = [os.urandom(200_000 + number) for number in range(20)]
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda payload: talk(port, payload), payloads))
        assert answers == [b"%d:" % len(payload) + payload for payload in payloads]


@pytest.mark.usefixtures("spoken")
def test_ports_forwarded_to_services_and_deployments(streams: Mesh) -> None:
    for target, port in (("service/web", 80), ("deployment/web", 9080)):
        with forwarded(streams, target, port) as local:
            assert "William Shakespeare" in streams.get(f"http://127.0.0.1:{local}/details/0")[1]


@pytest.mark.usefixtures("spoken")
def test_a_port_nobody_listens_on(streams: Mesh) -> None:
    process = start(streams, "port-forward", "pod/echo", ":7999", "--address=127.0.0.1")
    assert process.stdout
    port = int(process.stdout.readline().split()[2].rpartition(b":")[2])
    with contextlib.suppress(OSError):
        assert talk(port, b"x") == b""
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert b"failed to connect to port 7999 inside the pod" in text


def test_what_is_not_there_says_so(streams: Mesh) -> None:
    debug = run(streams, "debug", "echo", "--image=busybox", "--", "ls")
    assert b"ephemeral containers are not available on this machine" in debug.stderr
    assert b"not found" in run(streams, "exec", "nobody", "--", "ls").stderr


def test_logs_of_many(streams: Mesh) -> None:
    prefixed = streams.kubectl("logs", "-l", "app=web", "--all-containers", "--prefix", "--tail=-1")
    assert re.search(r"(?m)^\[pod/web-\S+/istio-proxy\] ", prefixed), prefixed
    assert streams.kubectl("logs", "-l", "app=web", "-c", "istio-proxy", "--since=1h", "--tail=1")
