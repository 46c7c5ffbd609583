"""The node for real: namespaces, processes, packets. As the user the tests run as, and as root also as a plain one."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kaiki.runtime.probe import probe, user_namespace_way_out

PLAIN_USER = 4242
CASES = ("container", "order", "restart", "waiting", "liveness", "services", "capture", "many")

refused = [step for step in probe() if not step.ok]
pytestmark = pytest.mark.skipif(bool(refused), reason=f"this machine refuses: {refused}")


def users() -> list[int]:
    """The user ids to run as."""
    return [os.getuid(), PLAIN_USER] if os.getuid() == 0 else [os.getuid()]


@pytest.fixture(params=users())
def home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A home the user of this run owns. Not below tmp_path, which is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="kaiki-node-"))
    os.chown(folder, request.param, -1)
    yield folder / "home"
    shutil.rmtree(folder)


class HostServer(BaseHTTPRequestHandler):
    """Something on the host's loopback."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"the host")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host_port() -> Iterator[int]:
    """The port of a server on the host."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), HostServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def start(home: Path, case: str, host_port: int = 0) -> subprocess.Popen[str]:
    """Start a node that runs a case."""
    command = [sys.executable, str(Path(__file__).with_name("node_process.py")), str(home), case]
    owner = home.parent.stat().st_uid
    if owner != os.getuid():
        wrapper = str(Path(__file__).with_name("as_user.py"))
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, wrapper, str(owner), *command]
    environment = os.environ | {"HOST_PORT": str(host_port), "HOME": str(home.parent)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def leftovers(home: Path) -> list[str]:
    """Everything of a node that is still there: processes by their environment or arguments, and mounts."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if str(home) in line]
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and str(home).encode() in (folder / "cmdline").read_bytes():
                found.append(f"{folder.name} {(folder / 'cmdline').read_bytes()!r}")
    return found


def wait_until_nothing_is_left(home: Path) -> None:
    deadline = time.monotonic() + 20
    while leftovers(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert leftovers(home) == []


@pytest.mark.parametrize("case", CASES)
def test_case(home: Path, case: str, host_port: int) -> None:
    node = start(home, case, host_port)
    output, _ = node.communicate(timeout=120)
    assert node.returncode == 0, output
    assert "Traceback" not in output, output
    wait_until_nothing_is_left(home)


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A node with a pod behind a forward, and the forward's port."""
    node = start(home, "serve")
    try:
        yield node, wait_for_forward(home, node)
    finally:
        node.kill()
        node.communicate()
        wait_until_nothing_is_left(home)


def wait_for_forward(home: Path, node: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and node.poll() is None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            port = int(json.loads((home / "run/state.json").read_text())["urls"]["web"].rpartition(":")[2])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                assert answer.read() == b"from a pod"
            return port
        time.sleep(0.02)
    raise AssertionError("the forward never answered")


def read_log(home: Path, query: str = "") -> str:
    connection = http.client.HTTPConnection("node")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(str(home / "run/node.sock"))
    connection.request("GET", f"/containerLogs/default/one/talker{query}")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_in_from_the_host_and_a_graceful_end(home: Path) -> None:
    with serving(home) as (node, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(50):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"from a pod"
        connection.close()
        assert read_log(home) == "" or "hello" in read_log(home)
        node.send_signal(signal.SIGTERM)
        assert node.wait(timeout=60) == 0
        assert not (home / "run/state.json").exists()


def test_nothing_survives_the_launchers_sudden_end(home: Path) -> None:
    with serving(home) as (node, port):
        node.send_signal(signal.SIGKILL)
        node.wait(timeout=10)
        wait_until_nothing_is_left(home)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


def test_nothing_survives_the_first_process(home: Path) -> None:
    with serving(home) as (node, _):
        inside = next(pid for pid in children(node.pid))
        os.kill(next(iter(children(inside))), signal.SIGKILL)
        assert node.wait(timeout=20) != 0
        wait_until_nothing_is_left(home)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_way_out_names_the_switch() -> None:
    def reader(path: str, value: str) -> Any:
        return lambda asked: value if asked == path else ""

    ubuntu = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    assert f"kernel.{ubuntu.rpartition('/')[2]}=0" in user_namespace_way_out(reader(ubuntu, "1"))
    assert "max_user_namespaces" in user_namespace_way_out(reader("/proc/sys/user/max_user_namespaces", "0"))
    assert user_namespace_way_out(lambda _: "")
