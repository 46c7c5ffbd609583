"""Virtual addresses for hosts that have none: names that mean something, and connections that can be told apart.

Addresses are of 240.240.0.0/16 (Istio's range). A host keeps the address its ServiceEntry's `status.addresses` says;
one that is new gets the address its name hashes to, or the next free one: the same input gives the same addresses.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

from kaiki.model.service import ServiceEntry

RANGE = ipaddress.IPv4Network("240.240.0.0/16")
_FIRST, _COUNT = 1, RANGE.num_addresses - 2


def automatic_addresses(entries: Iterable[ServiceEntry]) -> dict[str, str]:
    """Host → address, of the hosts of `entries` (the oldest first) that get one."""
    wanting = [entry for entry in entries if entry.automatic]
    held: dict[str, str] = {}
    for entry in wanting:
        for host, address in entry.held_addresses:
            if host in entry.automatic and host not in held and address not in held.values() and _is_ours(address):
                held[host] = address
    taken = set(held.values())
    for entry in wanting:
        for host in entry.automatic:
            if host not in held:
                held[host] = _free(host, taken)
                taken.add(held[host])
    return held


def _is_ours(text: str) -> bool:
    try:
        return ipaddress.IPv4Address(text) in RANGE
    except ValueError:
        return False


def _free(host: str, taken: set[str]) -> str:
    start = int.from_bytes(hashlib.sha256(host.encode()).digest()[:4], "big") % _COUNT
    for step in range(_COUNT):
        address = str(RANGE[_FIRST + (start + step) % _COUNT])
        if address not in taken:
            return address
    return ""
