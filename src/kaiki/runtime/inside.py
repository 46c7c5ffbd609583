"""The process inside as such: what it inherits, and what it does as the first process of its pid namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from kaiki.runtime.host_sockets import SocketTaker
from kaiki.runtime.launcher import SETTINGS_VARIABLE
from kaiki.runtime.settings import NodeSettings, decode_settings


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What `enter.py` leaves to the process it becomes."""

    settings: NodeSettings
    nursery: socket.socket
    relay: socket.socket
    control: socket.socket


def _socket(variable: str) -> socket.socket:
    taken = socket.socket(fileno=int(os.environ.pop(variable)))
    taken.set_inheritable(False)
    return taken


def take_inheritance() -> Inheritance:
    """Read settings and sockets from the environment, and remove them from it; KeyError outside of a node."""
    settings = decode_settings(os.environ.pop(SETTINGS_VARIABLE))
    return Inheritance(settings, _socket("KAIKI_NURSERY"), _socket("KAIKI_RELAY"), _socket("KAIKI_CONTROL"))


def reap_orphans() -> None:
    """Take leave of every child that has ended; what outlives its parent becomes a child of the first process."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


@contextlib.contextmanager
def first_process(sockets: SocketTaker) -> Iterator[None]:
    """Reap what is orphaned, and end at SIGTERM. To be entered inside the event loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, reap_orphans)
    loop.add_signal_handler(signal.SIGTERM, sockets.stopped.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGCHLD)
        loop.remove_signal_handler(signal.SIGTERM)
