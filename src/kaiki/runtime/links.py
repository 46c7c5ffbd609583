"""Links, addresses and routes of a mesh: every pod at the end of its own wire, routed, without a bridge.

    pod eth0 10.97.x.y/32 ──veth── kXXX outer namespace, 10.97.0.1 on lo ── other pods

Routed and not bridged so that the outer namespace's connection tracking sees both directions: service addresses are
translated there, once, for every pod.
"""

from __future__ import annotations

import socket
import struct

from kaiki.runtime import netlink
from kaiki.runtime.netlink import FLAG_ACKNOWLEDGE, FLAG_CREATE, FLAG_EXCLUSIVE, Message, attribute, nested, text

LOOPBACK_INDEX = 1
POD_LINK_INDEX = 2

_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 17, 20, 24
_UP = 1
_LINK_NAME, _LINK_INFO, _LINK_NAMESPACE = 3, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_ADDRESS, _LOCAL = 1, 2
_DESTINATION, _OUT_LINK, _GATEWAY, _SOURCE = 1, 4, 5, 7
_TABLE_MAIN, _TABLE_LOCAL = 254, 255
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_UNICAST, _LOCAL_TYPE = 1, 2
_ONLINK = 4
_PROTOCOL_STATIC = 4
_NEW = FLAG_ACKNOWLEDGE | FLAG_CREATE | FLAG_EXCLUSIVE


def _link(index: int, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def set_up(index: int) -> Message:
    """Switch a link on."""
    return Message(_NEW_LINK, FLAG_ACKNOWLEDGE, _link(index, _UP))


def add_wire(name: str, index: int, peer_namespace: int) -> Message:
    """A veth pair: `name` here with the link number `index`, `eth0` in the namespace of the descriptor; both down."""
    peer = _link(POD_LINK_INDEX) + text(_LINK_NAME, "eth0")
    peer += attribute(_LINK_NAMESPACE, struct.pack("=I", peer_namespace))
    info = text(_INFO_KIND, "veth") + nested(_INFO_DATA, nested(_VETH_PEER, peer))
    return Message(_NEW_LINK, _NEW, _link(index) + text(_LINK_NAME, name) + nested(_LINK_INFO, info))


def delete_link(index: int) -> Message:
    """Remove a link, and with a veth its other end."""
    return Message(_DELETE_LINK, FLAG_ACKNOWLEDGE, _link(index))


def add_address(index: int, address: str) -> Message:
    """Give a link an IPv4 address with the prefix /32."""
    packed = socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, _SCOPE_UNIVERSE, index)
    return Message(_NEW_ADDRESS, _NEW, body + attribute(_LOCAL, packed) + attribute(_ADDRESS, packed))


def _route(prefix: str, table: int, scope: int, kind: int, flags: int, attributes: bytes) -> Message:
    address, _, length = prefix.partition("/")
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, int(length), 0, 0, table, _PROTOCOL_STATIC, scope, kind, flags)
    destination = attribute(_DESTINATION, socket.inet_aton(address)) if int(length) else b""
    return Message(_NEW_ROUTE, _NEW, header + destination + attributes)


def add_route(prefix: str, index: int, source: str) -> Message:
    """Reach `prefix` directly through a link, with `source` as this side's address."""
    attributes = attribute(_OUT_LINK, struct.pack("=I", index)) + attribute(_SOURCE, socket.inet_aton(source))
    return _route(prefix, _TABLE_MAIN, _SCOPE_LINK, _UNICAST, 0, attributes)


def add_default_route(gateway: str, index: int) -> Message:
    """Reach the rest through `gateway`, which is on the link though no prefix says so."""
    attributes = attribute(_OUT_LINK, struct.pack("=I", index)) + attribute(_GATEWAY, socket.inet_aton(gateway))
    return _route("0.0.0.0/0", _TABLE_MAIN, _SCOPE_UNIVERSE, _UNICAST, _ONLINK, attributes)


def add_route_before_loopback(prefix: str, gateway: str, index: int) -> Message:
    """Reach a part of 127.0.0.0/8 through `gateway`: more precise than the kernel's own route to the loopback."""
    attributes = attribute(_OUT_LINK, struct.pack("=I", index)) + attribute(_GATEWAY, socket.inet_aton(gateway))
    return _route(prefix, _TABLE_LOCAL, _SCOPE_UNIVERSE, _UNICAST, _ONLINK, attributes)


def add_local_route(prefix: str) -> Message:
    """Treat a whole prefix as this machine's own: what no rule translates is refused at once, not lost."""
    attributes = attribute(_OUT_LINK, struct.pack("=I", LOOPBACK_INDEX))
    return _route(prefix, _TABLE_LOCAL, _SCOPE_HOST, _LOCAL_TYPE, 0, attributes)


def open_socket() -> netlink.NetlinkSocket:
    """A socket for these messages, in the network namespace of the calling thread."""
    return netlink.NetlinkSocket(netlink.NETLINK_ROUTE)
