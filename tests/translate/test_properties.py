"""What holds for any mesh: order does not matter, and nothing refers to what is not there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import readable
import small_mesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, ProxyConfig
from kaiki.translate.generate import generate

NAMES = ("a", "b", "c")
PORTS = (
    {"name": "http", "port": 80},
    {"name": "http-x", "port": 8080},
    {"name": "grpc", "port": 9090},
    {"name": "tcp", "port": 5000},
    {"name": "other", "port": 6000},
)
names = st.sampled_from((*NAMES, "missing"))
destinations = st.fixed_dictionaries(
    {"host": names}, optional={"subset": st.sampled_from(("v1", "v9")), "port": st.just({"number": 80})}
)
shares = st.lists(
    st.fixed_dictionaries({"destination": destinations, "weight": st.integers(0, 100)}), min_size=1, max_size=3
)
rules = st.fixed_dictionaries(
    {"route": shares},
    optional={
        "match": st.lists(
            st.sampled_from(
                (
                    {"uri": {"prefix": "/x"}},
                    {"headers": {"h": {"exact": "1"}}},
                    {"sourceLabels": {"app": "a"}},
                    {"gateways": ["front"]},
                )
            ),
            min_size=1,
            max_size=2,
        ),
        "mirror": destinations,
    },
)


entries = st.fixed_dictionaries(
    {
        "hosts": st.lists(
            st.sampled_from(("a", "x.example.org", "*.example.org")), min_size=1, max_size=2, unique=True
        ),
        "ports": st.sampled_from(
            (
                [{"number": 80, "name": "http", "protocol": "HTTP"}],
                [{"number": 80, "name": "tls", "protocol": "TLS"}, {"number": 5000, "name": "tcp", "protocol": "TCP"}],
                [{"number": 6000, "name": "other"}],
            )
        ),
        "resolution": st.sampled_from(("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN")),
    },
    optional={
        "addresses": st.just(["240.0.0.1"]),
        "endpoints": st.just([{"address": "192.0.2.1"}, {"address": "b.example.org"}]),
        "exportTo": st.just(["."]),
    },
)


@st.composite
def meshes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Workloads, rules and routes over a handful of names, so that they meet."""
    documents: list[dict[str, Any]] = [
        {"kind": "Proxy", "metadata": {"name": "a-v1-abc-0", "namespace": "one"}, "spec": {"labels": {"app": "a"}}},
        {"kind": "Proxy", "metadata": {"name": "x", "namespace": "two"}, "spec": {"kind": "gateway"}},
    ]
    for name in draw(st.sets(st.sampled_from(NAMES), min_size=1)):
        ports = draw(st.lists(st.sampled_from(PORTS), min_size=1, max_size=3, unique_by=lambda port: port["port"]))
        spec = {"ports": ports, "headless": draw(st.booleans()), "sidecar": draw(st.booleans())}
        documents.append({"kind": "Workload", "metadata": {"name": name, "namespace": "one"}, "spec": spec})
    for number, spec in enumerate(draw(st.lists(st.fixed_dictionaries({"host": names}), max_size=2))):
        subsets = [{"name": "v1", "labels": {"version": "v1"}}]
        documents.append(_object("DestinationRule", f"rule-{number}", {**spec, "subsets": subsets}))
    for number, http in enumerate(draw(st.lists(st.lists(rules, min_size=1, max_size=3), max_size=3))):
        hosts = draw(st.lists(st.sampled_from((*NAMES, "*.example.org", "x.example.org")), min_size=1, max_size=2))
        gateways = draw(st.sampled_from((["mesh"], ["front"], ["front", "mesh"])))
        spec = {"hosts": sorted(set(hosts)), "gateways": gateways, "http": http}
        documents.append(_object("VirtualService", f"routes-{number}", spec))
    for number, spec in enumerate(draw(st.lists(entries, max_size=3))):
        documents.append(_object("ServiceEntry", f"entry-{number}", spec))
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    documents.append(_object("Gateway", "front", {"servers": [server]}))
    return documents


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "one", "creationTimestamp": "2024-01-01T00:00:00Z"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _configs(documents: list[dict[str, Any]], memo: Memo | None = None) -> list[tuple[Proxy, ProxyConfig]]:
    snapshot = interpret(small_mesh.inputs(documents)).snapshot
    shared = memo or Memo()
    return [(proxy, generate(snapshot, proxy, shared)) for proxy in small_mesh.proxies(documents)]


def _bytes(config: ProxyConfig) -> dict[tuple[str, str], bytes]:
    return {(type_url, name): item.body for type_url, found in config.resources.items() for name, item in found.items()}


def _values(value: Any, key: str) -> Iterator[str]:
    """Every text under a key, anywhere in a document."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, str):
                yield item
            yield from _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)


few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(meshes(), st.randoms(use_true_random=False))
def test_the_order_of_inputs_never_changes_the_output(documents: list[dict[str, Any]], chance: random.Random) -> None:
    shuffled = list(documents)
    chance.shuffle(shuffled)
    one = {proxy.key: _bytes(config) for proxy, config in _configs(documents)}
    other = {proxy.key: _bytes(config) for proxy, config in _configs(shuffled)}
    assert one == other


@few
@given(meshes())
def test_everything_referred_to_exists(documents: list[dict[str, Any]]) -> None:
    readable.load_types()
    for _, config in _configs(documents):
        clusters = set(config.of(CLUSTER_TYPE))
        dynamic = [*config.of(LISTENER_TYPE).values(), *config.of(ROUTE_TYPE).values()]
        for item in dynamic:
            document = readable.as_document(item)
            assert set(_values(document, "cluster")) <= clusters
            assert set(_values(document, "route_config_name")) <= set(config.of(ROUTE_TYPE))
            # Envoy refuses a table that has a domain twice.
            domains = [domain for listed in _lists(document, "domains") for domain in listed]
            assert item.type_url != ROUTE_TYPE or len(domains) == len(set(domains))
            for weighted in _lists(document, "clusters"):
                assert {share["name"] for share in weighted} <= clusters
        asked = {
            name
            for item in config.of(CLUSTER_TYPE).values()
            for name in _values(readable.as_document(item), "service_name")
        }
        assert asked == set(config.of(ENDPOINT_TYPE))


def _lists(value: Any, key: str) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, list):
                yield item
            yield from _lists(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _lists(item, key)


@few
@given(meshes(), meshes())
def test_what_was_built_before_never_changes_what_is_built_now(
    before: list[dict[str, Any]], now: list[dict[str, Any]]
) -> None:
    memo = Memo()
    first: Interpretation = interpret(small_mesh.inputs(before))
    for proxy in small_mesh.proxies(before):
        generate(first.snapshot, proxy, memo)
    second = interpret(small_mesh.inputs(now), first)
    fresh = _configs(now)
    for proxy, config in fresh:
        assert _bytes(generate(second.snapshot, proxy, memo)) == _bytes(config)
    assert second.findings == interpret(small_mesh.inputs(now)).findings
