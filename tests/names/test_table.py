"""What names mean, from Services and EndpointSlices."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaiki.names.table import Server, build_table


def service(name: str, cluster_ip: str = "10.96.0.20", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": cluster_ip, "ports": [{"name": "http", "port": 9080}], **spec},
    }


def endpoint_slice(owner: str, *addresses: str, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{owner}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": ready}} for one in addresses],
    }


def test_a_service_is_its_address_and_its_named_ports() -> None:
    table = build_table([service("reviews")], [])
    assert table.addresses["reviews.default.svc.cluster.local"] == ("10.96.0.20",)
    servers = table.servers["_http._tcp.reviews.default.svc.cluster.local"]
    assert servers == (Server(9080, "reviews.default.svc.cluster.local"),)
    assert table.pointers["20.0.96.10.in-addr.arpa"] == "reviews.default.svc.cluster.local"


def test_a_headless_service_is_its_ready_endpoints() -> None:
    slices = [endpoint_slice("db", "10.97.1.9", "10.97.1.2"), endpoint_slice("db", "10.97.1.7", ready=False)]
    table = build_table([service("db", "None")], slices)
    assert table.addresses["db.default.svc.cluster.local"] == ("10.97.1.2", "10.97.1.9")
    assert table.addresses["10-97-1-9.db.default.svc.cluster.local"] == ("10.97.1.9",)


def test_publishing_endpoints_that_are_not_ready() -> None:
    table = build_table(
        [service("db", "None", publishNotReadyAddresses=True)], [endpoint_slice("db", "10.97.1.7", ready=False)]
    )
    assert table.addresses["db.default.svc.cluster.local"] == ("10.97.1.7",)


def test_an_external_name_is_an_alias() -> None:
    table = build_table([service("out", "", type="ExternalName", externalName="Example.org.")], [])
    assert table.aliases["out.default.svc.cluster.local"] == "example.org"


def test_names_between_exist() -> None:
    assert build_table([service("reviews")], []).knows("default.svc.cluster.local")


@given(st.permutations([service("a"), service("b", "None"), service("c", "10.96.0.3")]))
def test_order_does_not_matter(services: list[dict[str, Any]]) -> None:
    slices = [endpoint_slice("b", "10.97.1.1")]
    assert build_table(services, slices) == build_table(sorted(services, key=str), slices)
