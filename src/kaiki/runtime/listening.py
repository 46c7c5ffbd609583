"""Applications that listen on their loopback only: found, said, and reached where the pod asks for it.

    annotations: {kaiki.io/reach-loopback: "true"}          the ports its containers declare and Services send to
    annotations: {kaiki.io/reach-loopback: "8080, 9090"}    these ports

Who develops on a machine of his own binds to 127.0.0.1; in a pod nobody else reaches that, not even the sidecar, which
connects to the pod's address. With the annotation packet rules of the pod send what comes for one of these ports on to
127.0.0.1; a port that the application opened on the pod's address is left as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaiki.model.workload import REACH_LOOPBACK_ANNOTATION
from kaiki.runtime import nft, rules, sandbox

Object = Mapping[str, Any]

REASON = "ListensOnLoopback"
_LISTENING = "0A"
_LOOPBACK_SUFFIX = "7F"
_LOOPBACK_IPV6 = "00000000000000000000000001000000"
_MAPPED_PREFIX = "0000000000000000FFFF0000"
_AFTER_CAPTURE = -99


@dataclass(frozen=True, slots=True)
class Listening:
    """TCP ports by where they are open: on the loopback, on another address of the pod, or on all of them."""

    loopback: frozenset[int] = frozenset()
    elsewhere: frozenset[int] = frozenset()
    everywhere: frozenset[int] = frozenset()

    @property
    def hidden(self) -> frozenset[int]:
        """Ports nobody outside the pod reaches."""
        return self.loopback - self.elsewhere - self.everywhere


def parse_listening(tables: Iterable[str]) -> Listening:
    """From `/proc/net/tcp` and `/proc/net/tcp6`."""
    found: dict[str, set[int]] = defaultdict(set)
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if len(fields) > 3 and fields[3] == _LISTENING:
                address, _, port = fields[1].partition(":")
                found[_place(address)].add(int(port, 16))
    return Listening(*(frozenset(found[place]) for place in ("loopback", "elsewhere", "everywhere")))


def _place(address: str) -> str:
    if address == _LOOPBACK_IPV6:
        return "loopback"
    if len(address) == 32 and address.startswith(_MAPPED_PREFIX):
        address = address[-8:]
    if not address.strip("0"):
        return "everywhere"
    return "loopback" if len(address) == 8 and address.endswith(_LOOPBACK_SUFFIX) else "elsewhere"


def read_listening(network: int) -> Listening:
    """What is open in a pod's network namespace; raises OSError."""

    def read() -> list[str]:
        paths = (Path("/proc/thread-self/net", name) for name in ("tcp", "tcp6"))
        return [path.read_text() for path in paths if path.exists()]

    return parse_listening(sandbox.run_in_network(network, read))


def declared_ports(pod: Object) -> frozenset[int]:
    """The TCP ports of the pod's containers."""
    ports = (port for one in (pod.get("spec") or {}).get("containers") or () for port in one.get("ports") or ())
    return frozenset(int(port["containerPort"]) for port in ports if (port.get("protocol") or "TCP") == "TCP")


def reached_ports(pod: Object, targets: frozenset[int]) -> frozenset[int]:
    """The ports to be sent on to the loopback; `targets` are those Services send to. ValueError says what is wrong."""
    text = str(((pod["metadata"].get("annotations")) or {}).get(REACH_LOOPBACK_ANNOTATION, "")).strip()
    if text.lower() in ("", "false"):
        return frozenset()
    if text.lower() == "true":
        return declared_ports(pod) | targets
    words = [word.strip() for word in text.split(",")]
    wrong = [word for word in words if not (word.isascii() and word.isdigit() and 0 < int(word) < 65536)]
    if wrong:
        raise ValueError(
            f"annotation {REACH_LOOPBACK_ANNOTATION}: {wrong[0]!r} is not a port; "
            'write "true" or ports, as in "8080,9090"'
        )
    return frozenset(map(int, words))


def loopback_table(address: str, ports: Iterable[int]) -> rules.Table:
    """The rules of one pod: what its sidecar (or, without one, anybody) sends to a port goes to the loopback.

    They come after those of the capture, which take the same packets first.
    """
    onward = tuple(
        rules.Rule((rules.Destination(address), rules.Port("tcp", port)), rules.Translate("127.0.0.1", port))
        for port in sorted(ports)
    )
    chains = (
        rules.Chain("inbound", onward, rules.Hook.PREROUTING, _AFTER_CAPTURE),
        rules.Chain("outbound", onward, rules.Hook.OUTPUT, _AFTER_CAPTURE),
    )
    return rules.Table("kaiki-loopback", rules.Family.IP, chains)


def apply(network: int, address: str, ports: Iterable[int]) -> None:
    """Put the rules in force inside a pod's namespace; raises OSError."""

    def call() -> None:
        with_rules = nft.open_socket()
        try:
            nft.apply_table(loopback_table(address, ports), with_rules)
        finally:
            with_rules.close()

    sandbox.run_in_network(network, call)


def explain(ports: Iterable[int]) -> str:
    """What is wrong, and the ways out; the ports come first, before a colon."""
    return (
        f"{', '.join(map(str, sorted(ports)))}: the application listens on 127.0.0.1 only, so nobody reaches it from "
        "outside its pod. Let it listen on 0.0.0.0, or annotate the pod (template) with "
        f'{REACH_LOOPBACK_ANNOTATION}: "true"'
    )


class Reach:
    """One pod's: looks from time to time, keeps the rules as they should be, tells what changed."""

    def __init__(self) -> None:
        self._applied: frozenset[int] = frozenset()
        self.hidden: frozenset[int] = frozenset()
        self.problem = ""

    def look(self, pod: Object, network: int, address: str, targets: frozenset[int]) -> bool:
        """Look once; whether `hidden` or `problem` has changed. Raises OSError."""
        before = self.hidden, self.problem
        wanted: frozenset[int] = frozenset()
        self.problem = ""
        try:
            wanted = reached_ports(pod, targets)
        except ValueError as error:
            self.problem = str(error)
        listening = read_listening(network)
        ports = wanted - (listening.elsewhere - listening.loopback)
        if ports != self._applied:
            apply(network, address, ports)
            self._applied = ports
        self.hidden = (listening.hidden & (declared_ports(pod) | targets)) - ports
        return (self.hidden, self.problem) != before
