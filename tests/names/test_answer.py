"""Questions and answers."""

from typing import Any

import pytest
from dnslib import QTYPE, RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from kaiki.names.answer import Elsewhere, answer, fit_datagram, join, refuse
from kaiki.names.table import build_table

NAME = "reviews.default.svc.cluster.local"


def headless(count: int) -> Any:
    services = [
        {"metadata": {"name": "reviews", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.20", "ports": []}},
        {"metadata": {"name": "db", "namespace": "default"}, "spec": {"clusterIP": "None"}},
        {
            "metadata": {"name": "out", "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "a.org"},
        },
        {"metadata": {"name": "in", "namespace": "default"}, "spec": {"type": "ExternalName", "externalName": NAME}},
    ]
    endpoints = [{"addresses": [f"10.97.1.{one + 1}"]} for one in range(count)]
    owner = {"kubernetes.io/service-name": "db"}
    one = {"metadata": {"name": "db-1", "namespace": "default", "labels": owner}, "endpoints": endpoints}
    return build_table(services, [one])


def ask(name: str, kind: str = "A", count: int = 2, turn: int = 0) -> DNSRecord:
    found = answer(DNSRecord.question(name, kind).pack(), headless(count), turn)
    assert isinstance(found, bytes)
    return DNSRecord.parse(found)


def test_an_address() -> None:
    reply = ask("Reviews.default.svc.cluster.local.")
    assert reply.header.rcode == RCODE.NOERROR and reply.header.aa
    assert [str(record.rdata) for record in reply.rr] == ["10.96.0.20"]


@pytest.mark.parametrize("kind", ["AAAA", "MX", "SRV"])
def test_a_known_name_without_such_records_is_no_error(kind: str) -> None:
    reply = ask(NAME, kind)
    assert reply.header.rcode == RCODE.NOERROR and not reply.rr and reply.auth


@pytest.mark.parametrize("name", ["nothing.default.svc.cluster.local", "reviews.other.svc.cluster.local"])
def test_an_unknown_cluster_name_does_not_exist(name: str) -> None:
    assert ask(name).header.rcode == RCODE.NXDOMAIN


def test_a_namespace_exists_though_it_has_no_address() -> None:
    assert ask("default.svc.cluster.local").header.rcode == RCODE.NOERROR


def test_addresses_rotate() -> None:
    name = "db.default.svc.cluster.local"
    assert {str(ask(name, count=3, turn=turn).rr[0].rdata) for turn in range(3)} == {f"10.97.1.{n}" for n in (1, 2, 3)}


def test_pods_are_known_by_their_address() -> None:
    assert str(ask("10-97-1-3.default.pod.cluster.local").rr[0].rdata) == "10.97.1.3"
    assert ask("10-97-1-999.default.pod.cluster.local").header.rcode == RCODE.NXDOMAIN


def test_reverse() -> None:
    assert str(ask("20.0.96.10.in-addr.arpa", "PTR").rr[0].rdata) == NAME + "."


def test_an_alias_inside_is_followed() -> None:
    reply = ask("in.default.svc.cluster.local")
    assert [QTYPE[record.rtype] for record in reply.rr] == ["CNAME", "A"]


def test_an_alias_outside_is_asked_elsewhere_and_joined() -> None:
    question = DNSRecord.question("out.default.svc.cluster.local").pack()
    found = answer(question, headless(1), 0)
    assert isinstance(found, Elsewhere) and found.name == "a.org"
    upstream = DNSRecord.question("a.org").reply().pack()
    reply = DNSRecord.parse(join(question, found.prefix, upstream))
    assert str(reply.q.qname) == "out.default.svc.cluster.local." and len(reply.rr) == 1


def test_other_names_are_for_others() -> None:
    found = answer(DNSRecord.question("example.org").pack(), headless(1), 0)
    assert found == Elsewhere("example.org")


def test_host_alias() -> None:
    assert str(ask("host.kaiki.internal").rr[0].rdata) == "10.97.255.254"


def test_a_large_reply_is_truncated_for_udp() -> None:
    question = DNSRecord.question("db.default.svc.cluster.local").pack()
    reply = answer(question, headless(100), 0)
    assert isinstance(reply, bytes)
    cut = fit_datagram(question, reply)
    assert len(cut) <= 512 and DNSRecord.parse(cut).header.tc


def test_refusing_keeps_the_identifier() -> None:
    question = DNSRecord.question("example.org")
    reply = DNSRecord.parse(refuse(question.pack(), RCODE.SERVFAIL))
    assert reply.header.id == question.header.id and reply.header.rcode == RCODE.SERVFAIL


@given(st.binary(max_size=200))
def test_noise_is_answered_or_ignored(noise: bytes) -> None:
    found = answer(noise, headless(1), 0)
    assert found is None or isinstance(found, bytes | Elsewhere)
