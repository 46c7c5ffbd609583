"""Who listens on the loopback only, as the kernel's tables say, and what a pod's annotation asks for."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.runtime import rules
from kaiki.runtime.listening import Listening, explain, loopback_table, parse_listening, reached_ports

HEAD = "  sl  local_address rem_address   st tx_queue\n"
IPV4 = HEAD + "".join(
    f"   {number}: {local} 00000000:0000 {state} 00000000:00000000\n"
    for number, (local, state) in enumerate(
        [
            ("0100007F:1F90", "0A"),  # 127.0.0.1:8080
            ("0100007F:1F91", "01"),  # a connection, nobody listens
            ("00000000:2382", "0A"),  # 0.0.0.0:9090
            ("0700610A:0050", "0A"),  # 10.97.0.7:80
            ("0600007F:0050", "0A"),  # 127.0.0.6:80
        ]
    )
)
IPV6 = HEAD + "".join(
    f"   0: {local} 00000000000000000000000000000000:0000 0A 00000000:00000000\n"
    for local in (
        "00000000000000000000000001000000:1B58",  # [::1]:7000
        "00000000000000000000000000000000:1B59",  # [::]:7001
        "0000000000000000FFFF00000100007F:1B5A",  # 127.0.0.1:7002 in an IPv6 socket
    )
)


def pod(annotation: str | None, *ports: int) -> dict[str, Any]:
    annotations = {} if annotation is None else {"kaiki.io/reach-loopback": annotation}
    containers = [{"name": "a", "ports": [{"containerPort": port} for port in ports]}]
    return {"metadata": {"name": "a", "annotations": annotations}, "spec": {"containers": containers}}


def test_the_kernels_tables() -> None:
    found = parse_listening([IPV4, IPV6])
    assert found == Listening(frozenset({8080, 80, 7000, 7002}), frozenset({80}), frozenset({9090, 7001}))
    assert found.hidden == {8080, 7000, 7002}


@pytest.mark.parametrize(
    ("annotation", "ports"),
    [(None, set()), ("false", set()), ("true", {80, 7000}), ("8080, 9090", {8080, 9090})],
)
def test_what_the_annotation_asks_for(annotation: str | None, ports: set[int]) -> None:
    assert reached_ports(pod(annotation, 80), frozenset({7000})) == ports


@pytest.mark.parametrize("annotation", ["yes", "80 90", "0", "65536", "-1", "80,"])
def test_what_it_cannot_mean(annotation: str) -> None:
    with pytest.raises(ValueError, match=r"kaiki.io/reach-loopback: .* is not a port"):
        reached_ports(pod(annotation, 80), frozenset())


def test_the_rules() -> None:
    text = rules.as_text(loopback_table("10.97.1.7", {8080}))
    assert text.count("ip daddr 10.97.1.7 tcp dport 8080 dnat to 127.0.0.1:8080") == 2
    assert "dnat" not in rules.as_text(loopback_table("10.97.1.7", ()))


def test_the_ports_come_first() -> None:
    assert explain({90, 80}).startswith("80, 90: the application listens on 127.0.0.1 only")
