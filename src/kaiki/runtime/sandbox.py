"""Network namespaces of pods, and the outer one they meet in.

A namespace is kept by its descriptor alone: no process, no mount, nothing to clean up when the node dies.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kaiki.runtime import enter, links, nft, rules, syscalls
from kaiki.runtime.netlink import NetlinkSocket

GATEWAY = "10.97.0.1"
HOST_ALIASES = "10.97.255.0/24"
"""Where pods find the host's loopback: .254 is 127.0.0.1, .N is 127.0.0.N."""
MESH_NAMES = "10.97.0.53"
"""Where applications with a sidecar ask for names: those only the mesh knows are answered there too."""
BALANCER_PREFIX = "127.96.0.0/11"
"""Where load balancers are, on this machine's loopback and, by a route of theirs, for pods."""
SERVICE_PREFIX = "10.96.0.0/16"
MESH_PREFIX = "10.96.0.0/15"  # services and pods
_FIRST_POD = (10 << 24) + (97 << 16) + (1 << 8) + 1
_POD_COUNT = (254 << 8) - 1
_FIRST_LINK = 100

T = TypeVar("T")


def run_in_thread(function: Callable[[], T]) -> T:
    """Call in a fresh thread: what it changes of its own namespaces ends with it."""
    result: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            result.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]


def run_in_network(descriptor: int, function: Callable[[], T]) -> T:
    """Call inside a network namespace."""

    def call() -> T:
        syscalls.setns(descriptor, syscalls.CLONE_NEWNET)
        return function()

    return run_in_thread(call)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One pod's network: its namespace's descriptor and its address."""

    descriptor: int
    address: str
    link: int


class Network:
    """The outer namespace (that of the calling process) and the wires to the pods."""

    def __init__(self) -> None:
        self._links = links.open_socket()
        self._rules = nft.open_socket()
        self._numbers = itertools.count()
        self._taken: set[str] = set()

    def prepare(self) -> None:
        """Give the outer namespace its address and make service addresses its own; raises OSError."""
        self._links.send(
            [
                links.set_up(links.LOOPBACK_INDEX),
                links.add_address(links.LOOPBACK_INDEX, GATEWAY),
                links.add_address(links.LOOPBACK_INDEX, MESH_NAMES),
                links.add_local_route(SERVICE_PREFIX),
                links.add_local_route(HOST_ALIASES),
            ]
        )

    def apply(self, table: rules.Table) -> None:
        """Put rules in force in the outer namespace."""
        nft.apply_table(table, self._rules)

    def make_sandbox(self) -> Sandbox:
        """A namespace with an address, reachable from the outer one and from all others; raises OSError."""
        address, number = self._next_address()
        descriptor, inner = run_in_thread(_new_network)
        index = _FIRST_LINK + number
        try:
            self._links.send(
                [
                    links.add_wire(f"kaiki{number}", index, descriptor),
                    links.set_up(index),
                    links.add_route(f"{address}/32", index, GATEWAY),
                ]
            )
            inner.send(
                [
                    links.set_up(links.LOOPBACK_INDEX),
                    links.add_address(links.POD_LINK_INDEX, address),
                    links.set_up(links.POD_LINK_INDEX),
                    links.add_default_route(GATEWAY, links.POD_LINK_INDEX),
                    links.add_route_before_loopback(BALANCER_PREFIX, GATEWAY, links.POD_LINK_INDEX),
                ]
            )
        except OSError:
            os.close(descriptor)
            self._taken.discard(address)
            raise
        finally:
            inner.close()
        return Sandbox(descriptor, address, index)

    def remove_sandbox(self, sandbox: Sandbox) -> None:
        """Let go of a namespace; the kernel takes it apart, with the wire, when its last process is gone."""
        os.close(sandbox.descriptor)
        self._taken.discard(sandbox.address)

    def close(self) -> None:
        """Close the sockets; what is in force stays until the namespace ends."""
        self._links.close()
        self._rules.close()

    def _next_address(self) -> tuple[str, int]:
        """The next address in turn that no pod has; turns make an address rest before it is used again."""
        while len(self._taken) < _POD_COUNT:
            number = next(self._numbers)
            value = _FIRST_POD + number % _POD_COUNT
            address = ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))
            if address not in self._taken:
                self._taken.add(address)
                return address, number
        raise OSError("all pod addresses are taken")


def _new_network() -> tuple[int, NetlinkSocket]:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    enter.write_network_settings()
    # Answers of load balancers come by the link and from the loopback's prefix, which the kernel drops otherwise.
    Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC), links.open_socket()


def apply_in_network(descriptor: int, table: rules.Table) -> None:
    """Put rules in force inside a pod's namespace; raises OSError."""

    def call() -> None:
        with_rules = nft.open_socket()
        try:
            nft.apply_table(table, with_rules)
        finally:
            with_rules.close()

    run_in_network(descriptor, call)
