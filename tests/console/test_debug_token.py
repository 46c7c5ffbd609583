"""The token by which the control plane tells the console what proxies have been told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaiki.console.debug_token import LIFETIME_SECONDS, RETRY_SECONDS, DebugToken
from kaiki.discovery.authentication import DEBUG_AUDIENCE, Caller, TokenAuthenticator
from kaiki.kube.client import KubeClient


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_control_plane_knows_the_console_by_a_token_for_that_alone(cluster: Any) -> None:
    async with KubeClient(cluster.console) as client:
        asked = DebugToken(client)
        token = await asked.read()
        assert (asked.problem, await asked.read()) == ("", token), "it is kept while it is good"
    readers = TokenAuthenticator(cluster.admin.review_token, audience=DEBUG_AUDIENCE)
    caller = await readers.authenticate([("Authorization", f"Bearer {token}")])
    assert (caller.namespace, caller.service_account, caller.pod_name) == ("istio-system", "kiali", "kiali-1")
    assert isinstance(caller, Caller)
    assert not (await cluster.admin.review_token(token)).get("authenticated"), "it does not open the API"


async def test_a_new_token_comes_before_the_old_one_ends(cluster: Any) -> None:
    clock = Clock()
    async with KubeClient(cluster.console) as client:
        asked = DebugToken(client, clock)
        first = await asked.read()
        clock.now = 4e9
        assert await asked.read() != first
    assert LIFETIME_SECONDS >= 600, "Kubernetes gives none for less"


async def test_without_the_right_the_problem_is_told_and_asked_again_later(cluster: Any) -> None:
    await cluster.admin.delete_object(await cluster.role("kiali"))
    clock = Clock()
    async with KubeClient(cluster.console) as client:
        asked = DebugToken(client, clock)
        assert await asked.read() == ""
        assert 'cannot create resource "serviceaccounts/token"' in asked.problem
        await cluster.install(cluster.settings)
        assert await asked.read() == "", "not at every look"
        clock.now += RETRY_SECONDS
        assert await asked.read() and asked.problem == ""


async def test_outside_of_a_pod_there_is_none(cluster: Any) -> None:
    async with KubeClient(replace(cluster.console, token_file=None, token="admin")) as client:
        asked = DebugToken(client)
        assert await asked.read() == "" and "runs in no pod" in asked.problem
