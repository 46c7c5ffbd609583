"""The machine a mesh runs on: is it there, where can it be reached, start it, stop it.

`kaiki node` (the launcher) holds a lock on `run/node.lock` while it lives, so that "is it running" never depends on a
file somebody forgot to remove, and writes `run/state.json` as its addresses become known.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kaiki.app.home import Home

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1


class MachineError(Exception):
    """The mesh cannot be started, reached or stopped; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """What a running launcher says of itself.

    `urls` holds the loopback addresses by name: `api`, `gateway`, `console`, `metrics`; a name appears when its
    listening socket is open, which is before anything may answer on it.
    """

    process_id: int
    urls: dict[str, str] = field(default_factory=dict)


def is_running(home: Home) -> bool:
    """Whether a launcher holds this home's lock."""
    try:
        with open(home.run / "node.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def take_lock(home: Home) -> IO[str]:
    """Hold the home for this process; raises MachineError when another mesh already runs from it."""
    lock = open(home.run / "node.lock", "w")  # noqa: SIM115 (kept open as long as the process lives)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise MachineError(
            f"a mesh already runs from {home.path}. See `kaiki status`, stop it by `kaiki down`, "
            "or set KAIKI_HOME to another folder for a second one."
        ) from None
    return lock


def read_state(home: Home) -> MachineState | None:
    """The state of the running launcher, or None when none runs or it has not written one yet."""
    if not is_running(home):
        return None
    try:
        raw: dict[str, Any] = json.loads(home.state.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    urls = {"api": home.api_url.read_text().strip()} if home.api_url.exists() else {}
    return MachineState(process_id=raw["pid"], urls=urls | raw.get("urls", {}))


def require_running(home: Home) -> MachineState:
    """The state of the running mesh; raises MachineError with the way out when there is none."""
    state = read_state(home)
    if state is None:
        raise MachineError(f"no mesh runs from {home.path}. Start one by `kaiki up --detach` (or `kaiki demo`).")
    return state


def start_node(home: Home, *, detach: bool, arguments: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start the launcher as a process of its own, its output in `logs/node.log`.

    Attached, it ends with this process, however that ends; detached, it stays.
    """
    if not sys.platform.startswith("linux"):
        raise MachineError(
            f"the local runtime needs Linux, and this is {sys.platform}. Run Kaiki in a Linux virtual machine "
            "(Lima, Colima, OrbStack, WSL 2); its loopback ports are reachable from here."
        )
    home.prepare()
    if is_running(home):
        raise MachineError(f"a mesh already runs from {home.path}. See `kaiki status`; stop it by `kaiki down`.")
    _check_files(home)
    home.state.unlink(missing_ok=True)
    home.api_url.unlink(missing_ok=True)
    command = [sys.executable, "-m", "kaiki", "node", *arguments]
    environment = {**os.environ, "KAIKI_HOME": str(home.path)}
    with open(home.node_log, "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            preexec_fn=None if detach else end_with_parent(),
        )


def _check_files(home: Home) -> None:
    """A damaged database or key is told before anything starts; 20 ms for 10,000 objects."""
    from kaiki.apiserver.credentials import CredentialsDamaged, check_credentials
    from kaiki.apiserver.store import StoreDamaged, check_database

    try:
        check_database(home.path / "api.sqlite")
        check_credentials(home.path)
    except (StoreDamaged, CredentialsDamaged) as error:
        raise MachineError(str(error)) from error


def end_with_parent() -> Callable[[], None]:
    """A child hook: the kernel sends SIGTERM to the child when its parent dies (Linux only, harmless elsewhere)."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    libc = ctypes.CDLL(None)

    def hook() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return hook


def wait_for_state(home: Home, node: subprocess.Popen[bytes]) -> MachineState:
    """Wait until the Kubernetes API answers; MachineError says what is refused, or the log's end, when it died."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = read_state(home)
        if state is not None and "api" in state.urls and answers(state.urls["api"]):
            return state
        if node.poll() is not None:
            raise MachineError(f"the mesh did not start:\n{refusals() or last_lines(home.node_log)}")
        time.sleep(POLL_SECONDS)
    raise MachineError(f"the mesh did not start within {START_TIMEOUT_SECONDS:.0f} s; see {home.node_log}")


def answers(url: str) -> bool:
    """Whether the API server says it is ready. No secret is sent, so its certificate need not be checked for this."""
    import http.client
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(url.removeprefix("https://"), timeout=1.0, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def refusals() -> str:
    """What this machine refuses of what the runtime needs, and the way out; empty when it refuses nothing."""
    command = [sys.executable, "-m", "kaiki", "probe"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


def stop_node(home: Home) -> bool:
    """Stop the launcher and wait for its end; answers False when none ran."""
    state = read_state(home)
    if state is None:
        return False
    os.kill(state.process_id, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while is_running(home):
        if time.monotonic() > deadline:
            os.kill(state.process_id, signal.SIGKILL)
            deadline += STOP_TIMEOUT_SECONDS
        time.sleep(POLL_SECONDS)
    return True


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a text file, for an error message."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no output)"
    return "\n".join(f"  {line}" for line in lines[-count:])
