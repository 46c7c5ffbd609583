"""Packet rules as nftables netlink: a table of `rules.py` becomes the bytes of one transaction.

Register 1 holds what is compared; register 2 the second operand of a translation. The encodings are those nft itself
emits for the same text, dependencies included (`ip saddr` in an inet table first asks for IPv4).
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import struct

from kaiki.runtime import netlink, rules
from kaiki.runtime.netlink import FLAG_ACKNOWLEDGE, FLAG_APPEND, FLAG_CREATE, Message, attribute, nested, text

_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 2, 3, 6
_FAMILIES = {rules.Family.IP: 2, rules.Family.INET: 1}
_HOOKS = {rules.Hook.PREROUTING: 0, rules.Hook.OUTPUT: 3, rules.Hook.POSTROUTING: 4}
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_IPV4, _IPV6 = 2, 10
_EQUAL, _UNEQUAL = 0, 1
_META_MARK, _META_IN_NAME, _META_OUT_NAME, _META_USER, _META_FAMILY, _META_TRANSPORT = 3, 6, 7, 10, 15, 16
_NETWORK, _TRANSPORT = 1, 2
_RETURN, _GOTO = -5, -4
_DESTINATION_NAT = 1


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(2, key), _number(1, 1))


def _compare(value: bytes, operator: int = _EQUAL) -> bytes:
    return _expression("cmp", _number(1, 1), _number(2, operator), nested(3, attribute(1, value)))


def _payload(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, 1), _number(2, base), _number(3, offset), _number(4, length))


def _load(register: int, value: bytes) -> bytes:
    return _expression("immediate", _number(1, register), nested(2, attribute(1, value)))


def _finish(code: int, chain: str = "") -> bytes:
    verdict = _number(1, code) + (text(2, chain) if chain else b"")
    return _expression("immediate", _number(1, 0), nested(2, nested(2, verdict)))


def _is_family(family: int) -> bytes:
    return _meta(_META_FAMILY) + _compare(bytes([family]))


def _is_protocol(name: str) -> bytes:
    return _meta(_META_TRANSPORT) + _compare(bytes([_PROTOCOLS[name]]))


def _address(prefix: str, offset: int, operator: int) -> bytes:
    network = ipaddress.IPv4Network(prefix)
    mask = b""
    if network.prefixlen < 32:
        registers = _number(1, 1) + _number(2, 1) + _number(3, 4)
        zero = nested(5, attribute(1, bytes(4)))
        mask = _expression("bitwise", registers, nested(4, attribute(1, network.netmask.packed)), zero)
    return _is_family(_IPV4) + _payload(_NETWORK, offset, 4) + mask + _compare(network.network_address.packed, operator)


def _link_name(key: int, name: str) -> bytes:
    return _meta(key) + _compare(name.encode().ljust(16, b"\0"))


def _operator(negated: bool) -> int:
    return _UNEQUAL if negated else _EQUAL


def _match(match: rules.Match) -> bytes:
    match match:
        case rules.Source(prefix):
            return _address(prefix, 12, _EQUAL)
        case rules.Destination(prefix, negated):
            return _address(prefix, 16, _operator(negated))
        case rules.SourceIPv6(address):
            return _is_family(_IPV6) + _payload(_NETWORK, 8, 16) + _compare(ipaddress.IPv6Address(address).packed)
        case rules.InLink(name):
            return _link_name(_META_IN_NAME, name)
        case rules.OutLink(name):
            return _link_name(_META_OUT_NAME, name)
        case rules.Mark(value):
            return _meta(_META_MARK) + _compare(struct.pack("=I", value))
        case rules.UserId(value):
            return _meta(_META_USER) + _compare(struct.pack("=I", value))
        case rules.Port(protocol, number, negated):
            port = _compare(struct.pack("!H", number), _operator(negated))
            return _is_protocol(protocol) + _payload(_TRANSPORT, 2, 2) + port
        case rules.Protocol(name):
            return _is_protocol(name)


def _translate(verdict: rules.Translate) -> bytes:
    chance = b""
    if verdict.one_in > 1:
        random = _expression("numgen", _number(1, 1), _number(2, verdict.one_in), _number(3, 1), _number(4, 0))
        chance = random + _compare(struct.pack("=I", 0))
    load = _load(1, socket.inet_aton(verdict.address)) + _load(2, struct.pack("!H", verdict.port))
    kind = _number(1, _DESTINATION_NAT) + _number(2, _IPV4)
    return chance + load + _expression("nat", kind, _number(3, 1), _number(5, 2))


def _verdict(verdict: rules.Verdict) -> bytes:
    match verdict:
        case rules.Return():
            return _finish(_RETURN)
        case rules.Goto(chain):
            return _finish(_GOTO, chain)
        case rules.Redirect(port):
            return _load(1, struct.pack("!H", port)) + _expression("redir", _number(1, 1))
        case rules.Translate():
            return _translate(verdict)
        case rules.Masquerade():
            return _expression("masq")


def _message(command: int, flags: int, family: int, *attributes: bytes) -> Message:
    return Message(_SUBSYSTEM << 8 | command, flags, struct.pack("!BBH", family, 0, 0) + b"".join(attributes))


def _batch_edge(kind: int) -> Message:
    return Message(kind, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))


def _new_chain(table: rules.Table, chain: rules.Chain) -> Message:
    attributes = [text(1, table.name), text(3, chain.name)]
    if chain.hook:
        place = nested(4, _number(1, _HOOKS[chain.hook]), _number(2, chain.priority))
        attributes += [place, _number(5, 1), text(7, "nat")]
    return _message(_NEW_CHAIN, FLAG_CREATE, _FAMILIES[table.family], *attributes)


def _new_rule(table: rules.Table, chain: rules.Chain, rule: rules.Rule) -> Message:
    expressions = nested(4, *map(_match, rule.matches), _verdict(rule.verdict))
    flags = FLAG_CREATE | FLAG_APPEND
    return _message(_NEW_RULE, flags, _FAMILIES[table.family], text(1, table.name), text(2, chain.name), expressions)


@functools.lru_cache(maxsize=8)
def encode_table(table: rules.Table) -> bytes:
    """The transaction that puts `table` in the place of the one of its name. Many pods share the same rules: made once.

    Chains without a hook come first, because the others name them. One message, the last, asks for an answer.
    """
    family = _FAMILIES[table.family]
    name = text(1, table.name)
    new_table = _message(_NEW_TABLE, FLAG_CREATE, family, name)
    messages = [_batch_edge(_BATCH_BEGIN), new_table, _message(_DELETE_TABLE, 0, family, name), new_table]
    chains = sorted(table.chains, key=lambda chain: chain.hook is not None)
    messages += [_new_chain(table, chain) for chain in chains]
    messages += [_new_rule(table, chain, rule) for chain in chains for rule in chain.rules]
    last = messages.pop()
    messages.append(Message(last.kind, last.flags | FLAG_ACKNOWLEDGE, last.body))
    messages.append(_batch_edge(_BATCH_END))
    return netlink.encode(messages)


def open_socket() -> netlink.NetlinkSocket:
    """A socket for rules, in the network namespace of the calling thread."""
    return netlink.NetlinkSocket(netlink.NETLINK_NETFILTER)


def apply_table(table: rules.Table, destination: netlink.NetlinkSocket) -> None:
    """Put the table in force at once; raises NetlinkError and changes nothing when the kernel refuses any part."""
    destination.send_encoded(encode_table(table), 1)
