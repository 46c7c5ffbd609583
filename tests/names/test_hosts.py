"""Names of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dnslib import QTYPE, DNSRecord

from kaiki.names.answer import Elsewhere, answer
from kaiki.names.hosts import HostsFile, parse_hosts, seen_by_pods
from kaiki.names.table import build_table

TEXT = """
127.0.0.1   httpbin.org Www.Google.com   # this machine
127.0.0.7   *.wikipedia.org
192.0.2.10  legacy.example.com
192.0.2.11  legacy.example.com
127.1.1.1   elsewhere.example.com
what is this
"""


def test_lines_and_what_is_wrong_with_them() -> None:
    found, problems = parse_hosts(TEXT)
    assert found == {
        "httpbin.org": ("10.97.255.254",),
        "www.google.com": ("10.97.255.254",),
        "*.wikipedia.org": ("10.97.255.7",),
        "legacy.example.com": ("192.0.2.10", "192.0.2.11"),
    }
    assert len(problems) == 2 and "line 6: 127.1.1.1: of the loopback only" in problems[0] and "line 7" in problems[1]


@pytest.mark.parametrize(("here", "there"), [("127.0.0.1", "10.97.255.254"), ("127.0.0.253", "10.97.255.253")])
def test_the_loopback_has_other_addresses_in_pods(here: str, there: str) -> None:
    assert seen_by_pods(here) == there


def test_the_file_is_read_again_and_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    hosts = HostsFile(path)
    assert hosts.addresses("httpbin.org") == ()
    path.write_text(TEXT)
    assert hosts.addresses("httpbin.org") == ("10.97.255.254",)
    assert hosts.addresses("en.wikipedia.org") == ("10.97.255.7",)
    assert hosts.addresses("wikipedia.org") == ()
    os.remove(path)
    assert hosts.addresses("httpbin.org") == ()


def test_questions_are_answered_from_it_but_not_for_names_of_the_cluster(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 httpbin.org web.default.svc.cluster.local\n")
    service = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]},
    }
    table, lookup = build_table([service], []), HostsFile(path).addresses

    def ask(name: str, kind: str = "A") -> list[str]:
        reply = answer(bytes(DNSRecord.question(name, kind).pack()), table, 0, lookup)
        assert isinstance(reply, bytes)
        return [str(record.rdata) for record in DNSRecord.parse(reply).rr if QTYPE[record.rtype] == kind]

    assert ask("httpbin.org") == ["10.97.255.254"]
    assert ask("httpbin.org", "AAAA") == []
    assert ask("web.default.svc.cluster.local") == ["10.96.0.9"]
    other = bytes(DNSRecord.question("example.com").pack())
    assert isinstance(answer(other, table, 0, lookup), Elsewhere)
