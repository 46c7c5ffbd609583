"""What EnvoyFilters make of bootstraps is shown to the real Envoy before any pod is made with it."""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from kaiki.app.bootstrap_patches import start_filters
from kaiki.app.bootstrap_trials import BootstrapTrials, Refusal, plain_bootstraps
from kaiki.app.envoy_trial import EnvoyTrial
from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.model.proxy import Capture
from kaiki.model.workload import ProxyKind

GOOD = {"stats_flush_interval": "6s"}
NO_CLUSTER = {
    "stats_sinks": [
        {
            "name": "envoy.stat_sinks.statsd",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink",
                "tcp_cluster_name": "nowhere",
            },
        }
    ]
}
TOO_OFTEN = {"stats_flush_interval": "0.00001s"}
CLUSTER = {"static_resources": {"clusters": [{"name": "collector", "connect_timeout": "1s"}]}}
POD: dict[str, Any] = {"kind": "Pod", "metadata": {"namespace": "shop", "labels": {"app": "web"}}, "spec": {}}


def _filter(name: str, *values: dict[str, Any], namespace: str = "shop", context: str = "ANY") -> dict[str, Any]:
    patches = [
        {"applyTo": "BOOTSTRAP", "match": {"context": context}, "patch": {"operation": "MERGE", "value": value}}
        for value in values
    ]
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"configPatches": patches},
    }


def _trials(refusal: Refusal) -> BootstrapTrials:
    return BootstrapTrials(refusal, plain_bootstraps(Capture.MARK, "istio-system", "cluster.local"))


def _inputs(*objects: dict[str, Any]) -> dict[Any, Any]:
    return {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in objects}


async def _followed(trials: BootstrapTrials, *objects: dict[str, Any]) -> Interpretation:
    """What is interpreted after the patches have been tried, as the control plane does it."""
    found = interpret(_inputs(*objects))
    await trials.follow(found)
    assert not await trials.follow(found)  # Tried once.
    return interpret({**_inputs(*objects), **trials.inputs()})


def _refused(found: Interpretation) -> dict[tuple[str, int], str]:
    return {
        (item.source.name, patch.index): patch.refused
        for item in found.snapshot.envoy_filters
        for patch in item.patches
        if patch.refused
    }


def test_what_envoy_refuses_is_told_and_the_rest_goes_on() -> None:
    async def run() -> None:
        trials = _trials(EnvoyTrial().refusal)
        broken = _filter("broken", GOOD, NO_CLUSTER, TOO_OFTEN)
        gateways = _filter("gateways", TOO_OFTEN, namespace="istio-system", context="GATEWAY")
        found = await _followed(trials, _filter("good", GOOD), broken, gateways)
        refused = _refused(found)
        assert set(refused) == {("broken", 1), ("broken", 2), ("gateways", 0)}
        assert "nowhere" in refused["broken", 1]
        assert "StatsFlushInterval" in refused["broken", 2] and "\n" not in refused["broken", 2]
        again = await _followed(trials, _filter("good", GOOD), _filter("broken", GOOD))
        assert not _refused(again) and not trials.inputs()

    asyncio.run(run())


def test_objects_that_fit_alone_are_tried_together_before_a_pod_is_made() -> None:
    async def run() -> None:
        trials, told = _trials(EnvoyTrial().refusal), []
        trials.changed = lambda: told.append(True)
        mesh_wide = _filter("all", CLUSTER, namespace="istio-system")
        own, third = _filter("own", CLUSTER), _filter("third", GOOD)
        found = await _followed(trials, mesh_wide, own, third)
        assert not _refused(found)
        filters, kind = start_filters(POD, found.snapshot)
        assert ([item.source.name for item in filters], kind) == (["all", "own", "third"], ProxyKind.SIDECAR)
        assert await trials.combine(filters, kind)
        refused = _refused(interpret({**_inputs(mesh_wide, own, third), **trials.inputs()}))
        assert list(refused) == [("own", 0)] and "beside the patches of other objects" in refused["own", 0]
        assert told == [True] and not await trials.combine(filters, kind)

    asyncio.run(run())


def test_files_of_the_pod_are_not_missed() -> None:
    async def run() -> None:
        def transport(path: str) -> dict[str, Any]:
            context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
            validation = {"trusted_ca": {"filename": path}}
            tls = {"@type": context, "common_tls_context": {"validation_context": validation}}
            cluster = {"name": "x", "connect_timeout": "1s", "transport_socket": {"name": "tls", "typed_config": tls}}
            return {"static_resources": {"clusters": [cluster]}}

        trials = _trials(EnvoyTrial().refusal)
        assert not _refused(await _followed(trials, _filter("own-roots", transport("/etc/only-in-the-pod/ca.pem"))))
        there = _refused(await _followed(trials, _filter("own-roots", transport(__file__))))
        assert list(there) == [("own-roots", 0)]  # It is there, and holds no certificate.

    asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "said"), [("kill -SEGV $$", "SIGSEGV"), ("exec sleep 60", "still looking"), ("exit 3", "exit code 3")]
)
def test_an_envoy_that_dies_or_stops_has_refused(script: str, said: str, tmp_path: Path) -> None:
    program = tmp_path / "envoy"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert said in asyncio.run(EnvoyTrial(program, longest_seconds=0.3).refusal({}))


def test_where_no_envoy_can_tell_nothing_is_refused(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.WARNING):
        found = asyncio.run(_followed(_trials(EnvoyTrial(tmp_path / "none").refusal), _filter("x", TOO_OFTEN)))
    assert not _refused(found)
    assert "cannot be tried" in caplog.text


def test_an_envoy_that_cannot_be_asked_for_a_while_keeps_nothing_from_going_on() -> None:
    async def run() -> None:
        answers = [OSError("no memory"), OSError("no memory"), "", "", OSError("no memory")]
        asked: list[object] = []

        async def refusal(document: object) -> str:
            asked.append(document)
            answer = answers.pop(0) if answers else "no"
            if isinstance(answer, OSError):
                raise answer
            return answer

        trials = _trials(refusal)
        assert not _refused(await _followed(trials, _filter("first", GOOD, context="GATEWAY")))
        assert not _refused(await _followed(trials, _filter("second", GOOD, context="GATEWAY")))
        assert set(_refused(await _followed(trials, _filter("third", GOOD, context="GATEWAY")))) == {("third", 0)}

    asyncio.run(run())
