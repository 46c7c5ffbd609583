"""Names only the mesh knows: who sees them, and what is answered."""

from __future__ import annotations

import json

from dnslib import QTYPE, RCODE, DNSRecord

from kaiki.names.answer import Elsewhere, answer
from kaiki.names.mesh import MeshNames, parse_mesh_names
from kaiki.names.table import build_table

TEXT = json.dumps({"hosts": {"db": ["240.240.0.1"], "*.x.org": ["240.240.0.2"]}, "views": {"shop": ["db"]}})
EMPTY = build_table((), ())


def _ask(names: MeshNames, name: str, namespace: str, kind: str = "A") -> DNSRecord | Elsewhere:
    found = answer(
        bytes(DNSRecord.question(name, kind).pack()), EMPTY, 0, lambda asked: names.addresses(asked, namespace)
    )
    assert found is not None
    return DNSRecord.parse(found) if isinstance(found, bytes) else found


def test_a_namespace_sees_what_its_view_leaves_it() -> None:
    names = parse_mesh_names(TEXT)
    assert names.addresses("db", "shop") == names.addresses("db", "other") == ("240.240.0.1",)
    assert names.addresses("a.b.x.org", "other") == ("240.240.0.2",)
    assert names.addresses("a.b.x.org", "shop") == names.addresses("x.org", "other") == ()


def test_what_is_not_a_document_gives_no_names() -> None:
    for text in ("", "[", "[]", '{"hosts": 1}'):
        assert parse_mesh_names(text) == MeshNames()


def test_answers() -> None:
    names = parse_mesh_names(TEXT)
    found = _ask(names, "db", "shop")
    assert isinstance(found, DNSRecord)
    assert [str(record.rdata) for record in found.rr] == ["240.240.0.1"]
    nothing = _ask(names, "db", "shop", "AAAA")
    assert isinstance(nothing, DNSRecord)
    assert (nothing.header.rcode, nothing.rr) == (RCODE.NOERROR, [])
    assert QTYPE[nothing.q.qtype] == "AAAA"
    assert _ask(names, "a.x.org", "shop") == Elsewhere("a.x.org")
