"""Services to packet rules and loopback ports."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kaiki.runtime.loopback import Wanted, balancer_addresses, own_address, wanted_ports
from kaiki.runtime.rules import as_text
from kaiki.runtime.sandbox import BALANCER_PREFIX
from kaiki.runtime.services import proxy_table, ready_pods, service_ports
from kaiki.runtime.settings import Forward

API = ("10.97.0.1", 6443)


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "nodePort": 31000}]
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.20", "ports": ports, **spec},
    }


def endpoints(*addresses: str, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": ready}} for one in addresses],
    }


def test_a_load_balancer_has_an_address_more() -> None:
    balancer = service(type="LoadBalancer")
    ports, addresses = service_ports([balancer], [endpoints("10.97.1.2")]), balancer_addresses([balancer], "machine")
    assert addresses == {("default", "web"): own_address(("default", "web"), "machine")}
    assert IPv4Address(addresses["default", "web"]) in IPv4Network(BALANCER_PREFIX)
    text = as_text(proxy_table(ports, 4000, API, addresses))
    for address in ("10.96.0.20", addresses["default", "web"]):
        assert f"ip daddr {address} tcp dport 80 goto service0" in text
    assert balancer_addresses([service(type="NodePort")]) == {}


def test_endpoints_share_by_chance() -> None:
    ports = service_ports([service()], [endpoints("10.97.1.2", "10.97.1.1")])
    text = as_text(proxy_table(ports, 4000, API))
    assert "ip daddr 10.96.0.20 tcp dport 80 goto service0" in text
    assert "numgen random mod 2 0 dnat to 10.97.1.1:8080\n    meta l4proto tcp dnat to 10.97.1.2:8080" in text
    assert "ip saddr 10.97.1.1 ip daddr 10.97.1.1 masquerade" in text


def test_the_rest_leaves_by_the_relay() -> None:
    text = as_text(proxy_table((), 4000, API))
    assert "ip daddr 10.97.255.0/24 meta l4proto tcp dnat to 10.97.0.1:4000" in text
    assert "ip daddr != 10.96.0.0/15 meta l4proto tcp dnat to 10.97.0.1:4000" in text
    assert "ip daddr 10.96.0.1 tcp dport 443 dnat to 10.97.0.1:6443" in text


def test_without_ready_endpoints_there_is_no_rule() -> None:
    ports = service_ports([service()], [endpoints("10.97.1.2", ready=False)])
    assert "10.96.0.20" not in as_text(proxy_table(ports, 4000, API))


def test_ready_pods() -> None:
    named = endpoints("10.97.1.2", "10.97.1.3")
    named["endpoints"][0]["targetRef"] = {"kind": "Pod", "uid": "one"}
    leaving = endpoints("10.97.1.4", ready=False)
    leaving["endpoints"][0]["targetRef"] = {"kind": "Pod", "uid": "two"}
    assert ready_pods([named, leaving]) == {"one"}


def test_headless_services_have_no_rule() -> None:
    ports = service_ports([service(clusterIP="None")], [endpoints("10.97.1.2")])
    assert "service0" not in as_text(proxy_table(ports, 4000, API))


def test_a_load_balancer_may_ask_for_a_loopback_address() -> None:
    def own(asked: str) -> set[str]:
        asking = service(type="LoadBalancer", ports=[{"port": 8080}], loadBalancerIP=asked)
        found = wanted_ports([asking], [], "machine")
        return {one.address for one in found} - {"127.0.0.1"}

    assert own("127.9.8.7") == {"127.9.8.7"}
    for other in ("192.0.2.1", "127.0.0.1", "none"):
        assert own(other) == {own_address(("default", "web"), "machine")}


def test_load_balancer_ports() -> None:
    ports = [
        {"port": 80, "nodePort": 31000},
        {"port": 443},
        {"port": 15021},
        {"port": 22},
        {"port": 53, "protocol": "UDP"},
    ]
    found = wanted_ports([service(type="LoadBalancer", ports=ports)], [], "a machine")
    own = [one for one in found if one.address != "127.0.0.1"]
    assert [(one.port, one.candidates, one.exact) for one in own] == [
        (number, (number,), True) for number in (80, 443, 15021, 22)
    ]
    assert {one.address for one in own} == {own_address(("default", "web"), "a machine")}
    assert own_address(("default", "web"), "a machine") != own_address(("default", "web"), "another")
    wanted = [one for one in found if one not in own]
    assert [(one.port, one.candidates, one.exact) for one in wanted] == [
        (80, (8080,), False),
        (80, (31000,), True),
        (443, (8443,), False),
        (15021, (15021,), False),
        (22, (), False),
    ]


def test_a_forward_serves_the_load_balancer_too() -> None:
    forward = Forward("gateway", "default", "web", 80, 8080)
    wanted = wanted_ports([service(type="LoadBalancer", ports=[{"port": 80}])], [forward])
    assert wanted[0] == Wanted("forward:gateway", ("default", "web"), 80, (8080,))
    assert [one.address for one in wanted[1:]] == [own_address(("default", "web"))]


def test_cluster_services_have_no_loopback_port() -> None:
    assert wanted_ports([service(type="ClusterIP")], []) == ()
