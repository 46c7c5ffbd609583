"""Packet rules as values: what a pod's capture and the node's service translation consist of.

A table is data here; `as_text` renders it in nft's own language (for people and golden tests), `nft.py` for the kernel.
Both renderings come from the same values, so that what is read is what is in force.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Family(Enum):
    """The protocol family of a table."""

    IP = "ip"
    INET = "inet"


class Hook(Enum):
    """Where a base chain is called, with nft's word for it."""

    PREROUTING = "prerouting"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


@dataclass(frozen=True, slots=True)
class Source:
    """IPv4 source address inside `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Destination:
    """IPv4 destination address inside `prefix` (or outside, when negated)."""

    prefix: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SourceIPv6:
    """IPv6 source address."""

    address: str


@dataclass(frozen=True, slots=True)
class InLink:
    """The link a packet came by."""

    name: str


@dataclass(frozen=True, slots=True)
class OutLink:
    """The link a packet leaves by."""

    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The socket mark of the sender."""

    value: int


@dataclass(frozen=True, slots=True)
class UserId:
    """The user id of the sending process."""

    value: int


@dataclass(frozen=True, slots=True)
class Port:
    """Destination port of a protocol (`tcp`, `udp`)."""

    protocol: str
    number: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """The transport protocol."""

    name: str


Match: TypeAlias = Source | Destination | SourceIPv6 | InLink | OutLink | Mark | UserId | Port | Protocol


@dataclass(frozen=True, slots=True)
class Return:
    """Leave the chain."""


@dataclass(frozen=True, slots=True)
class Goto:
    """Go on in another chain."""

    chain: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send to a port of this very namespace."""

    port: int


@dataclass(frozen=True, slots=True)
class Translate:
    """Send to another address and port (DNAT). With `one_in`, only by that chance: 3 means each third packet."""

    address: str
    port: int
    one_in: int = 1


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Use this machine's address as the source."""


Verdict: TypeAlias = Return | Goto | Redirect | Translate | Masquerade


@dataclass(frozen=True, slots=True)
class Rule:
    """All of `matches`, then `verdict`."""

    matches: tuple[Match, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. With a hook the kernel calls it; without, other chains do."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None
    priority: int = -100


@dataclass(frozen=True, slots=True)
class Table:
    """Everything of one name: it is replaced as a whole, at once."""

    name: str
    family: Family
    chains: tuple[Chain, ...]


def _match_text(match: Match) -> str:
    match match:
        case Source(prefix):
            return f"ip saddr {prefix}"
        case Destination(prefix, negated):
            return f"ip daddr {'!= ' if negated else ''}{prefix}"
        case SourceIPv6(address):
            return f"ip6 saddr {address}"
        case InLink(name):
            return f'iifname "{name}"'
        case OutLink(name):
            return f'oifname "{name}"'
        case Mark(value):
            return f"meta mark {value}"
        case UserId(value):
            return f"meta skuid {value}"
        case Port(protocol, number, negated):
            return f"{protocol} dport {'!= ' if negated else ''}{number}"
        case Protocol(name):
            return f"meta l4proto {name}"


def _verdict_text(verdict: Verdict) -> str:
    match verdict:
        case Return():
            return "return"
        case Goto(chain):
            return f"goto {chain}"
        case Redirect(port):
            return f"redirect to :{port}"
        case Translate(address, port, one_in):
            chance = f"numgen random mod {one_in} 0 " if one_in > 1 else ""
            return f"{chance}dnat to {address}:{port}"
        case Masquerade():
            return "masquerade"


def _chain_lines(chain: Chain) -> Iterable[str]:
    yield f"  chain {chain.name} {{"
    if chain.hook:
        yield f"    type nat hook {chain.hook.value} priority {chain.priority}; policy accept;"
    for rule in chain.rules:
        yield "    " + " ".join([*map(_match_text, rule.matches), _verdict_text(rule.verdict)])
    yield "  }"


def as_text(table: Table) -> str:
    """The table in nft's language; `nft -f` would accept it."""
    lines = [f"table {table.family.value} {table.name} {{"]
    for chain in table.chains:
        lines.extend(_chain_lines(chain))
    return "\n".join([*lines, "}", ""])


OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
TUNNEL_PORT = 15008
OPEN_INBOUND_PORTS = (15020, 15021, 15090)


@dataclass(frozen=True, slots=True)
class Capture:
    """How a pod's traffic is captured.

    `exclude` tells Envoy's own traffic apart: by socket mark on one machine, by user id on a cluster, where a container
    without root cannot be given the right to set marks. What is included is None for everything (Istio's `*`) and empty
    for nothing; ports that are included go through Envoy whatever the address.
    """

    exclude: Mark | UserId = Mark(1337)
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_prefixes: tuple[str, ...] = ()
    include_outbound_prefixes: tuple[str, ...] | None = None
    include_outbound_ports: tuple[int, ...] = ()
    include_inbound_ports: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        outbound = (*self.exclude_outbound_ports, *self.include_outbound_ports)
        for port in (*outbound, *self.exclude_inbound_ports, *(self.include_inbound_ports or ())):
            if not 0 < port < 65536:
                raise ValueError(f"port {port} is not between 1 and 65535")
        for prefix in (*self.exclude_outbound_prefixes, *(self.include_outbound_prefixes or ())):
            ipaddress.IPv4Network(prefix)


def _outbound_rules(capture: Capture) -> tuple[Rule, ...]:
    returning = Return()
    own_service = (OutLink("lo"), Destination("127.0.0.0/8", negated=True), capture.exclude)
    redirect = Redirect(OUTBOUND_PORT)
    prefixes = capture.include_outbound_prefixes
    included = [Rule((Destination(prefix), Protocol("tcp")), redirect) for prefix in prefixes or ()]
    if prefixes is None:
        included = [Rule((Protocol("tcp"),), redirect)]
    return (
        # Envoy hands inbound connections to the application from this address.
        Rule((Source("127.0.0.6"),), returning),
        Rule((SourceIPv6("::6"),), returning),
        # A pod that calls its own service: Envoy's connection comes back to this pod and must pass its inbound side.
        Rule((*own_service, Port("tcp", TUNNEL_PORT, negated=True)), Redirect(INBOUND_PORT)),
        Rule((capture.exclude,), returning),
        Rule((OutLink("lo"),), returning),
        *(Rule((Port("tcp", port),), returning) for port in capture.exclude_outbound_ports),
        *(Rule((Port("tcp", port),), redirect) for port in capture.include_outbound_ports),
        *(Rule((Destination(prefix),), returning) for prefix in capture.exclude_outbound_prefixes),
        *included,
    )


def _inbound_rules(capture: Capture) -> tuple[Rule, ...]:
    # Envoy's own ports 15001 and 15006 are captured too: excluding them would open the outbound listener to others and
    # let one connection to 15006 loop.
    ports = (*OPEN_INBOUND_PORTS, *capture.exclude_inbound_ports)
    redirect = Redirect(INBOUND_PORT)
    included = [Rule((Port("tcp", port),), redirect) for port in capture.include_inbound_ports or ()]
    if capture.include_inbound_ports is None:
        included = [Rule((Protocol("tcp"),), redirect)]
    return (
        Rule((InLink("lo"),), Return()),
        *(Rule((Port("tcp", port),), Return()) for port in ports),
        *included,
    )


def capture_table(capture: Capture) -> Table:
    """The rules of one pod that send what goes in and out through its Envoy."""
    return Table(
        "kaiki",
        Family.INET,
        (
            Chain("outbound", _outbound_rules(capture), Hook.OUTPUT),
            Chain("inbound", _inbound_rules(capture), Hook.PREROUTING),
        ),
    )
