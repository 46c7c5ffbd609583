"""The real Envoy over TLS and a token: it gets everything, keeps it through restarts, and refuses only what is bad."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from kaiki.discovery.watch import Watch

from .mesh_of_one import (
    WORKLOAD,
    ControlPlane,
    cluster,
    config,
    endpoints,
    envoy,
    eventually,
    fetch,
    listener,
    routes,
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def backend() -> AsyncGenerator[int, None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nbackend")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
async def plane() -> AsyncGenerator[ControlPlane, None]:
    plane = ControlPlane(config())
    yield plane
    await plane.stop()


async def test_envoy_gets_everything_and_keeps_it_through_a_restart(
    plane: ControlPlane, backend: int, tmp_path: Path
) -> None:
    port = free_port()
    plane.desired = config(
        cluster("a"), endpoints("a", backend), listener("web", port), routes("web", a="a", hello="=one")
    )
    await plane.start()
    async with envoy(plane, tmp_path):
        body, certificate = await eventually(lambda: fetch(plane, port, "/a"))
        assert body == "backend"
        names = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        assert [name.value for name in names.value] == [str(WORKLOAD.identity)]
        await plane.wait_until_synced()
        secrets = plane.pushes()["sds"]  # Both in one response, or one after the other.
        assert secrets <= 2 and plane.pushes() == {
            "cds": 1,
            "eds": 1,
            "lds": 1,
            "rds": 1,
            "vhds": 1,
            "sds": secrets,
        }

        await plane.stop()
        assert (await fetch(plane, port, "/a"))[0] == "backend"
        await plane.start()
        await plane.wait_until_synced()
        await asyncio.sleep(1.2)  # Removals wait until the proxy has been silent for a second.
        assert plane.pushes() == {}
        assert (await fetch(plane, port, "/hello"))[1] == certificate

        await plane.push(
            config(cluster("a"), endpoints("a", backend), listener("web", port), routes("web", hello="=two"))
        )
        await eventually(lambda: said(plane, port, "/hello", "two"))
        assert plane.pushes() == {"vhds": 1}


async def said(plane: ControlPlane, port: int, path: str, text: str) -> bool:
    return (await fetch(plane, port, path))[0] == text


async def test_a_changed_cluster_and_a_removed_one(plane: ControlPlane, backend: int, tmp_path: Path) -> None:
    port = free_port()
    both = (cluster("a"), endpoints("a", backend), cluster("b"), endpoints("b", backend), listener("web", port))
    plane.desired = config(*both, routes("web", a="a"))
    await plane.start()
    async with envoy(plane, tmp_path) as log:
        await eventually(lambda: said(plane, port, "/a", "backend"))
        changed = cluster("b", connect_timeout="2s")
        await plane.push(config(changed, endpoints("b", backend), listener("web", port), routes("web", b="b")))
        await eventually(lambda: said(plane, port, "/b", "backend"))
        assert plane.proxies()[0]["rejected"] == []
        await eventually(lambda: "removed 1" in log.read_text() or "remove 1 cluster" in log.read_text())
        assert (await fetch(plane, port, "/b"))[0] == "backend"


async def test_a_cluster_without_endpoints_does_not_stay_warming(plane: ControlPlane, tmp_path: Path) -> None:
    port = free_port()
    plane.desired = config(cluster("nowhere"), listener("web", port), routes("web", hello="=one"))
    await plane.start()
    async with envoy(plane, tmp_path):
        assert await eventually(lambda: said(plane, port, "/hello", "one"))


async def test_what_envoy_refuses_is_named_and_the_rest_goes_on(
    plane: ControlPlane, backend: int, tmp_path: Path
) -> None:
    port = free_port()
    good = [one for number in range(7) for one in (cluster(f"c{number}"), endpoints(f"c{number}", backend))]
    unusable = cluster(
        "unusable", lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 9, "maximum_ring_size": 3}
    )
    invalid = cluster("invalid", connect_timeout="0s")
    rest = (listener("web", port), routes("web", a="c3"))
    plane.desired = config(*good, unusable, invalid, *rest)
    await plane.start()
    async with envoy(plane, tmp_path):
        await eventually(lambda: said(plane, port, "/a", "backend"))
        (proxy,) = await eventually(lambda: [one for one in plane.proxies() if len(one["rejected"]) == 2])
        assert {entry["name"] for entry in proxy["rejected"]} == {"unusable", "invalid"}
        assert all(entry["reason"] for entry in proxy["rejected"])

        await plane.push(
            config(*good, cluster("unusable"), endpoints("unusable", backend), *rest[:1], routes("web", a="unusable"))
        )
        await plane.wait_until_synced()
        await eventually(lambda: plane.proxies()[0]["rejected"] == [])
        last = plane.proxies()[0]["last_rejection"]
        assert last["name"] in ("unusable", "invalid")
        assert datetime.fromisoformat(last["at"]) <= datetime.now(UTC)
        assert (await fetch(plane, port, "/a"))[0] == "backend"


async def test_a_foreign_token_is_refused(plane: ControlPlane, tmp_path: Path) -> None:
    await plane.start()
    async with envoy(plane, tmp_path, token="stolen") as log:
        await eventually(lambda: plane.metrics.value("pilot_xds_authentication_failures"))
        await eventually(lambda: "not a token of this mesh" in log.read_text())
        assert plane.proxies() == []


async def test_nothing_is_answered_before_the_first_snapshot(plane: ControlPlane, backend: int, tmp_path: Path) -> None:
    port = free_port()
    plane.desired = config(cluster("a"), endpoints("a", backend), listener("web", port), routes("web", hello="=one"))
    await plane.start()
    async with envoy(plane, tmp_path):
        await eventually(lambda: said(plane, port, "/hello", "one"))
        await plane.stop()
        kept, plane.desired = plane.desired, config()
        await plane.start(snapshot=None)
        await asyncio.sleep(1.0)  # Long enough for Envoy to come back.
        assert await said(plane, port, "/hello", "one")
        await plane.push(kept)
        await plane.wait_until_synced()
        assert plane.pushes() == {}


async def test_a_mesh_without_clusters_lets_envoy_start(plane: ControlPlane, tmp_path: Path) -> None:
    port = free_port()
    plane.desired = config(listener("web", port), routes("web", hello="=one"))
    await plane.start()
    async with envoy(plane, tmp_path):
        assert await eventually(lambda: said(plane, port, "/hello", "one"))


async def test_a_cluster_left_warming_by_a_killed_control_plane_gets_its_endpoints(
    plane: ControlPlane, backend: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    others = (endpoints("a", backend), listener("web", port), routes("web", a="a"))
    patient = {"eds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}}
    plane.desired = config(cluster("a", eds_cluster_config=patient), *others)
    await plane.start()
    async with envoy(plane, tmp_path):
        await eventually(lambda: said(plane, port, "/a", "backend"))
        await plane.wait_until_synced()
        with monkeypatch.context() as killed_after_the_cluster:
            killed_after_the_cluster.setattr(Watch, "force", lambda self, name: None)
            before = plane.pushes()["cds"]
            await plane.push(config(cluster("a", eds_cluster_config=patient, connect_timeout="3s"), *others))
            await eventually(lambda: plane.pushes()["cds"] > before)
            await asyncio.sleep(0.2)
            assert not plane.proxies()[0]["synced"]
            await plane.stop()
        await plane.start()
        await eventually(lambda: plane.pushes().get("eds"))
        await plane.wait_until_synced()
        await plane.push(config(cluster("b"), endpoints("b", backend), *others[:2], routes("web", a="b")))
        await eventually(lambda: plane.pushes().get("vhds"))
        assert await said(plane, port, "/a", "backend")
