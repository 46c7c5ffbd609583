"""A question and the table → the answer, or that others must be asked. Pure but for the shuffle's seed, which is given.

A known name without records of the type asked for is NOERROR and empty: musl and glibc ask A and AAAA at once and treat
NXDOMAIN of either as "there is no such name".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dnslib import CNAME, PTR, QTYPE, RCODE, RR, SOA, SRV, A, DNSError, DNSHeader, DNSRecord

from kaiki.names.table import DOMAIN, HOST_ALIAS_NAME, NameTable

_TTL_SECONDS = 5
_UDP_BYTES = 512
_POD = re.compile(r"^(\d+)-(\d+)-(\d+)-(\d+)\.[^.]+\.pod\." + re.escape(DOMAIN) + "$")
_MESH_REVERSE = ("96.10.in-addr.arpa", "97.10.in-addr.arpa")
_MAXIMUM_ALIASES = 8


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The question is for the host's resolvers. `prefix` are answers already found: an alias that leads outside."""

    name: str
    prefix: tuple[Any, ...] = ()


def is_ours(name: str) -> bool:
    """Whether a name belongs to the cluster's domain, so that nobody else is asked."""
    return name in (DOMAIN, HOST_ALIAS_NAME) or name.endswith("." + DOMAIN) or name.endswith(_MESH_REVERSE)


def _pod_address(name: str) -> str | None:
    match = _POD.match(name)
    if not match:
        return None
    try:
        return str(ipaddress.IPv4Address(".".join(match.groups())))
    except ValueError:
        return None


Lookup = Callable[[str], tuple[str, ...]]
"""A name → its addresses in the mesh; empty if it is none of the mesh's."""


def _nothing(_name: str) -> tuple[str, ...]:
    return ()


def answer(question: bytes, table: NameTable, turn: int, mesh: Lookup = _nothing) -> bytes | Elsewhere | None:
    """The reply's bytes; Elsewhere for a name that is not ours; None for bytes that are not a question.

    `turn` rotates the addresses, so that clients that take the first one spread. `mesh` knows names that are not the
    cluster's: of ServiceEntries, for pods with a sidecar.
    """
    try:
        query = DNSRecord.parse(question)
    except (DNSError, ValueError, IndexError):
        return None
    if query.header.qr or len(query.questions) != 1:
        return None
    name = str(query.q.qname).rstrip(".").lower()
    reply = query.reply(ra=1, aa=1)
    if not table.knows(name) and (known := mesh(name)):
        return _mesh_reply(reply, name, known)
    if not is_ours(name):
        return Elsewhere(name)
    records, last = _records(name, query.q.qtype, table, turn)
    for record in records:
        reply.add_answer(record)
    if not is_ours(last):
        known = mesh(last)
        return _mesh_reply(reply, last, known) if known else Elsewhere(last, tuple(records))
    if not records:
        reply.add_auth(_authority())
        if not (table.knows(last) or last in table.pointers or _pod_address(last)):
            reply.header.rcode = RCODE.NXDOMAIN
    return bytes(reply.pack())


def _mesh_reply(reply: DNSRecord, name: str, addresses: tuple[str, ...]) -> bytes:
    """A name of the mesh has IPv4 addresses and nothing else."""
    if reply.q.qtype in (QTYPE.A, QTYPE.ANY):
        for address in addresses:
            reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=_TTL_SECONDS))
    if not reply.rr:
        reply.add_auth(_authority())
    return bytes(reply.pack())


def _records(name: str, kind: int, table: NameTable, turn: int) -> tuple[list[Any], str]:
    """The records, and the name the aliases ended at."""
    records = []
    for _ in range(_MAXIMUM_ALIASES):
        if name not in table.aliases or kind == QTYPE.CNAME:
            break
        records.append(RR(name, QTYPE.CNAME, rdata=CNAME(table.aliases[name]), ttl=_TTL_SECONDS))
        name = table.aliases[name]
    if kind in (QTYPE.A, QTYPE.ANY):
        addresses = table.addresses.get(name) or tuple(filter(None, (_pod_address(name),)))
        shift = turn % len(addresses) if addresses else 0
        for address in (*addresses[shift:], *addresses[:shift]):
            records.append(RR(name, QTYPE.A, rdata=A(address), ttl=_TTL_SECONDS))
    if kind in (QTYPE.SRV, QTYPE.ANY):
        for server in table.servers.get(name, ()):
            rdata = SRV(priority=0, weight=100, port=server.port, target=server.target)
            records.append(RR(name, QTYPE.SRV, rdata=rdata, ttl=_TTL_SECONDS))
    if kind == QTYPE.PTR and name in table.pointers:
        records.append(RR(name, QTYPE.PTR, rdata=PTR(table.pointers[name]), ttl=_TTL_SECONDS))
    if kind == QTYPE.CNAME and name in table.aliases:
        records.append(RR(name, QTYPE.CNAME, rdata=CNAME(table.aliases[name]), ttl=_TTL_SECONDS))
    return records, name


def _authority() -> Any:
    """Tells resolvers how long to remember that something does not exist: briefly, as Services come at any time."""
    times = (1, 3600, 600, 86400, 1)
    rdata = SOA(f"ns.dns.{DOMAIN}", f"hostmaster.{DOMAIN}", times)
    return RR(DOMAIN, QTYPE.SOA, rdata=rdata, ttl=1)


def join(question: bytes, prefix: tuple[Any, ...], upstream: bytes) -> bytes:
    """An answer from outside to the end of an alias, with the alias before it, under the question asked."""
    query, found = DNSRecord.parse(question), DNSRecord.parse(upstream)
    reply = query.reply(ra=1)
    for record in (*prefix, *found.rr):
        reply.add_answer(record)
    reply.header.rcode = found.header.rcode
    return bytes(reply.pack())


def ask(question: bytes, name: str) -> bytes:
    """The question for another name: an alias' end."""
    query = DNSRecord.parse(question)
    return bytes(DNSRecord.question(name, QTYPE[query.q.qtype]).pack())


def refuse(question: bytes, code: int) -> bytes:
    """A reply without records, such as SERVFAIL."""
    query = DNSRecord.parse(question)
    reply = DNSRecord(DNSHeader(id=query.header.id, qr=1, ra=1, rd=query.header.rd, rcode=code), q=query.q)
    return bytes(reply.pack())


def fit_datagram(question: bytes, reply: bytes) -> bytes:
    """The reply cut to what the client takes by UDP: the header and the question, marked as truncated."""
    if len(reply) <= _UDP_BYTES:
        return reply
    query = DNSRecord.parse(question)
    sizes = [record.rclass for record in query.ar if record.rtype == QTYPE.OPT]
    if len(reply) <= max(sizes, default=_UDP_BYTES):
        return reply
    return bytes(DNSRecord.parse(reply).truncate().pack())
