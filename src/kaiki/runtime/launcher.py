"""The only process outside: starts the one inside, gives it sockets of the host, and takes everything with it when it
ends.

$KAIKI_HOME/run/state.json   {"pid": …, "urls": {name: url}, "ports": {name: number}} while the node runs
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import msgspec

import kaiki
from kaiki.runtime import enter
from kaiki.runtime.engines import found_engines
from kaiki.runtime.host_sockets import SocketGiver
from kaiki.runtime.settings import Forward, NodeSettings, encode_settings

__all__ = ["Forward", "NodeSettings", "run_node"]

logger = logging.getLogger(__name__)
SETTINGS_VARIABLE = "KAIKI_NODE_SETTINGS"
_SOURCE_FOLDER = str(Path(kaiki.__file__).parent.parent)


class StateFile:
    """`state.json`, replaced as a whole at every change."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"
        self._state: dict[str, Any] = {"pid": os.getpid(), "urls": {}, "ports": {}}

    def update(self, changes: dict[str, Any]) -> None:
        """Merge and write."""
        self._state |= changes
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._state, indent=2) + "\n")
        os.replace(temporary, self._path)

    def remove(self) -> None:
        """The node has ended."""
        self._path.unlink(missing_ok=True)


def _needs_user_namespace() -> bool:
    """Without root always; with root wherever it works, so that both ways are the same."""
    if os.geteuid() != 0:
        return True
    check = "from kaiki.runtime.syscalls import *; unshare(CLONE_NEWUSER)"
    code = f"import sys; sys.path.insert(0, {_SOURCE_FOLDER!r}); {check}"
    command = [os.path.realpath("/proc/self/exe"), "-S", "-E", "-I", "-c", code]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _start_inside(
    settings: NodeSettings, control: socket.socket, host_sockets: socket.socket
) -> subprocess.Popen[bytes]:
    supervisor = settings.supervisor_arguments or (settings.python, "-m", "kaiki.runtime.supervisor")
    boot = {
        "launcher": os.getpid(),
        "new_user": _needs_user_namespace(),
        "sandbox": str(settings.sandbox_folder),
        "control": control.fileno(),
        "host_sockets": host_sockets.fileno(),
        "inherited": list(settings.api_descriptors),
        "supervisor": list(supervisor),
    }
    command = [settings.python, "-S", "-E", "-I", "-c", enter.BOOT, _SOURCE_FOLDER, json.dumps(boot)]
    environment = os.environ | {
        SETTINGS_VARIABLE: encode_settings(settings),
        "KAIKI_CONTROL": str(control.fileno()),
    }
    passed = [control.fileno(), host_sockets.fileno(), *settings.api_descriptors]
    return subprocess.Popen(command, pass_fds=passed, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)


async def run_node(settings: NodeSettings) -> int:
    """Run a node until SIGTERM or SIGINT, or until it fails; the exit code.

    The first signal ends pods in order and in bounded time; a second ends all at once.
    """
    settings.sandbox_folder.mkdir(parents=True, exist_ok=True)
    if settings.user is None and os.getuid() != 0:
        settings = msgspec.structs.replace(settings, user=(os.getuid(), os.getgid()))
    settings = msgspec.structs.replace(settings, engines=found_engines())
    state = StateFile(settings.run_folder)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    (control, control_inside), (host_sockets, host_sockets_inside) = pairs
    inside = _start_inside(settings, control_inside, host_sockets_inside)
    control_inside.close()
    host_sockets_inside.close()
    giver = SocketGiver(control, host_sockets, state.update)
    state.update({})
    try:
        return await _wait_for_end(settings, inside, giver)
    finally:
        inside.kill()
        inside.wait()
        giver.close()
        state.remove()


async def _wait_for_end(settings: NodeSettings, inside: subprocess.Popen[bytes], giver: SocketGiver) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(inside.pid)

    def on_end() -> None:
        loop.remove_reader(descriptor)
        ended.set_result(None)

    loop.add_reader(descriptor, on_end)

    def on_signal() -> None:
        if asked.is_set():
            inside.kill()
        asked.set()
        giver.ask_to_stop()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, on_signal)
    try:
        stopping = asyncio.create_task(asked.wait())
        waited: list[asyncio.Future[Any]] = [ended, stopping]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if asked.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.stop_timeout_seconds):
                    await asyncio.shield(ended)
            return 0
        return inside.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(which)
