"""Hosts of ServiceEntries: addresses given to them, entries that add up, and who sees their names."""

from __future__ import annotations

import json
from typing import Any

import small_mesh
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.interpret.automatic_addresses import RANGE, automatic_addresses
from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.interpret.mesh_names import mesh_names
from kaiki.model.finding import ObjectRef
from kaiki.model.service import ServiceEntry


def _entry(name: str, spec: dict[str, Any], namespace: str = "one", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": more.pop("created", "2024-01-01T00:00:00Z")}
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec, **more}


def _kind(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _interpret(*objects: dict[str, Any]) -> Interpretation:
    return interpret(small_mesh.inputs(objects))


STATIC = {
    "hosts": ["a.org"],
    "resolution": "STATIC",
    "ports": [{"number": 9, "name": "tcp", "protocol": "TCP"}],
    "endpoints": [{"address": "192.0.2.1"}],
}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=6), unique=True, max_size=30), st.randoms(use_true_random=False))
def test_addresses_are_distinct_and_stay(hosts: list[str], chance: Any) -> None:
    def entries(held: dict[str, str]) -> list[ServiceEntry]:
        return [
            ServiceEntry(
                ObjectRef("ServiceEntry", "one", host),
                (),
                (),
                automatic=(host,),
                held_addresses=((host, held[host]),) if host in held else (),
            )
            for host in hosts
        ]

    given_first = automatic_addresses(entries({}))
    assert set(given_first) == set(hosts)
    assert len(set(given_first.values())) == len(hosts)
    assert all(address.rpartition(".")[0].startswith("240.240") for address in given_first.values())
    # What was written down once holds, whatever else comes or goes.
    kept = {host: given_first[host] for host in hosts if chance.random() < 0.5}
    again = automatic_addresses(entries(kept))
    assert all(again[host] == address for host, address in kept.items())
    assert len(set(again.values())) == len(hosts)
    assert RANGE.num_addresses == 65536


def test_who_gets_an_address() -> None:
    services = _interpret(
        _entry("plain", STATIC),
        _entry("written", {**STATIC, "hosts": ["b.org"], "addresses": ["10.0.0.1"]}),
        _entry("none", {**STATIC, "hosts": ["c.org"], "resolution": "NONE", "endpoints": []}),
        _entry("wild", {**STATIC, "hosts": ["*.d.org"]}),
    ).snapshot.services
    assert services["a.org"].automatic_addresses
    assert not any(services[host].automatic_addresses for host in ("b.org", "c.org", "*.d.org"))


def test_entries_of_one_host_add_up_within_a_namespace() -> None:
    web = {**STATIC, "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}
    more = {**STATIC, "endpoints": [{"address": "192.0.2.2"}]}
    made = _interpret(
        _entry("one", STATIC), _entry("two", more), _entry("three", web), _entry("far", more, "two", created="2025")
    )
    snapshot = made.snapshot
    assert [port.number for port in snapshot.services["a.org"].ports] == [9, 80]
    assert [item.address for item in snapshot.endpoints["a.org", 9]] == ["192.0.2.1", "192.0.2.2"]
    assert [(finding.code, finding.resource.namespace) for finding in made.findings] == [("KAI0501", "two")]


def test_names_are_seen_where_exports_and_sidecars_let_them_be_seen() -> None:
    spaces = [{"kind": "Namespace", "metadata": {"name": name}} for name in ("one", "two", "three")]
    made = _interpret(
        *spaces,
        _entry("all", STATIC),
        _entry("own", {**STATIC, "hosts": ["own.org"], "exportTo": ["."]}, "two"),
        _kind("Sidecar", "default", "three", {"egress": [{"hosts": ["./*"]}]}),
    )
    document = json.loads(mesh_names(made.snapshot))
    assert sorted(document["hosts"]) == ["a.org", "own.org"]
    assert document["views"] == {"one": ["a.org"], "three": []}


def test_endpoints_of_selected_workloads_follow_them() -> None:
    entry = _entry("vms", {"hosts": ["vm.org"], "resolution": "STATIC", "ports": STATIC["ports"]})
    entry["spec"]["workloadSelector"] = {"labels": {"app": "vm"}}
    vm = _kind("WorkloadEntry", "vm", "one", {"address": "192.0.2.1", "labels": {"app": "vm"}})
    first = _interpret(entry, vm)
    assert [item.address for item in first.snapshot.endpoints["vm.org", 9]] == ["192.0.2.1"]
    moved = {**vm, "spec": {**vm["spec"], "address": "192.0.2.9"}}
    second = interpret(small_mesh.inputs([entry, moved]), first)
    assert [item.address for item in second.snapshot.endpoints["vm.org", 9]] == ["192.0.2.9"]
    third = interpret(small_mesh.inputs([entry]), second)
    assert third.snapshot.endpoints["vm.org", 9] == ()
    assert "KAI0508" in {finding.code for finding in third.findings}
