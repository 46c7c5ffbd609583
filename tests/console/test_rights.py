"""What somebody may do, told before they try, by the embedded API server and by one that leaves a part open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kaiki.console.identity import Identities, Identity
from kaiki.console.rights import KEPT_SECONDS, Place, Rights
from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.kube.config import KubeConfig
from kaiki.kube.resource import DESTINATION_RULES, GATEWAY_CLASSES, VIRTUAL_SERVICES

TOKEN = "a-token-for-tests"
VERSION = "networking.istio.io/v1"
NOTHING = {"create": False, "update": False, "delete": False}


def rule(verbs: str, resources: str, group: str = "networking.istio.io", names: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return found | ({"resourceNames": names.split()} if names else {})


def account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": "default"}


class Person:
    """Somebody who is logged in to the console, with a Kubernetes token or without."""

    def __init__(self, client: aiohttp.ClientSession, url: str, token: str) -> None:
        self._client, self._url = client, url
        self.headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Kaiki-Kubernetes-Token": token} if token else {})

    async def post(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        async with self._client.post(self._url + path, json=body, headers=self.headers | headers) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def may(self, *objects: dict[str, str]) -> list[dict[str, bool]]:
        answer = await self.post("/api/rights", {"objects": [*objects]})
        assert answer["problem"] == ""
        return [{key: item[key] for key in NOTHING} for item in answer["items"]]


@asynccontextmanager
async def person(kube: KubeConfig, token: str, **settings: Any) -> AsyncIterator[Person]:
    chosen = ConsoleSettings(listen=("127.0.0.1", 0), metrics_url="http://127.0.0.1:9", kube=kube, **settings)
    async with running(chosen) as (host, port), aiohttp.ClientSession() as client:
        while True:  # The console reads the token that opens it from its Secret.
            async with client.get(f"http://{host}:{port}/api/me", headers={"Authorization": f"Bearer {TOKEN}"}) as one:
                if one.status == 200:
                    break
        yield Person(client, f"http://{host}:{port}", token)


def thing(kind: str, name: str = "", namespace: str = "default", version: str = VERSION) -> dict[str, str]:
    return {"apiVersion": version, "kind": kind, "namespace": namespace, "name": name}


async def test_what_an_account_may_do_is_told_and_held(cluster: Any) -> None:
    token = await cluster.account_token("robot")
    await cluster.grant(account("robot"), rule("get update", "virtualservices", names="reviews"), namespace="default")
    async with person(cluster.console, token) as robot:
        asked = [thing("VirtualService", "reviews"), thing("VirtualService", "other"), thing("VirtualService")]
        asked += [thing("VirtualService", "reviews", "shop"), thing("DestinationRule", "reviews")]
        assert await robot.may(*asked) == [NOTHING | {"update": True}, NOTHING, NOTHING, NOTHING, NOTHING]
        answer = await robot.post("/api/rights", {"objects": [thing("DestinationRule")]})
        assert answer["user"] == "system:serviceaccount:default:robot"
        assert (answer["items"][0]["resource"], answer["items"][0]["group"]) == ("destinationrules", VERSION[:-3])
        yaml = f"apiVersion: {VERSION}\nkind: VirtualService\nmetadata:\n  name: x\nspec:\n  hosts: [x]\n"
        refused = await robot.post("/api/config/save", {"yaml": yaml}, 403)
        assert 'cannot create resource "virtualservices"' in refused["error"]["message"]


async def test_rights_everywhere_reach_what_is_in_no_namespace(cluster: Any) -> None:
    token = await cluster.account_token("boss")
    gateway = thing("GatewayClass", "mine", "", "gateway.networking.k8s.io/v1")
    await cluster.grant(account("boss"), rule("*", "*", "*"), namespace="default")
    async with person(cluster.console, token) as boss:
        assert await boss.may(thing("Sidecar"), gateway) == [dict.fromkeys(NOTHING, True), NOTHING]
    await cluster.grant(account("boss"), rule("*", "*", "*"))
    async with person(cluster.console, token) as boss:
        assert await boss.may(thing("Sidecar"), gateway) == [dict.fromkeys(NOTHING, True)] * 2


async def test_the_console_never_lends_its_own_rights(cluster: Any) -> None:
    """It may read every mesh object; whoever has no identity, or a wrong one, may do nothing by it."""
    for token, read_only in (("", False), ("made-up", False), (await cluster.account_token("robot"), True)):
        async with person(cluster.console, token, read_only=read_only) as nobody:
            answer = await nobody.post("/api/rights", {"objects": [thing("VirtualService", "reviews")]})
            assert (answer["user"], answer["canChange"], answer["readOnly"]) == (None, False, read_only)
            assert {key: answer["items"][0][key] for key in NOTHING} == NOTHING


async def test_another_site_learns_nothing(cluster: Any) -> None:
    async with person(cluster.console, "") as one:
        body = {"objects": [thing("VirtualService")]}
        for header in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            await one.post("/api/rights", body, 403, **header)


class Reviewer:
    """The reviews of an API server where a webhook decides too, so that rules are incomplete."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.up = True

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/apis/authorization.k8s.io/v1/{kind}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.Response:
        kind, spec = request.match_info["kind"], (await request.json())["spec"]
        self.asked.append(kind)
        if not self.up:
            return web.json_response({"message": "later"}, status=503)
        if kind == "selfsubjectrulesreviews":
            rules = [rule("create", "virtualservices")]
            return web.json_response({"status": {"resourceRules": rules, "incomplete": True}}, status=201)
        allowed = spec["resourceAttributes"]["verb"] == "delete"
        return web.json_response({"status": {"allowed": allowed}}, status=201)


@pytest.fixture
def reviewer() -> Reviewer:
    return Reviewer()


@asynccontextmanager
async def rights_at(reviewer: Reviewer, clock: Any) -> AsyncIterator[Rights]:
    runner = web.AppRunner(reviewer.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    kube = KubeConfig(server=f"http://127.0.0.1:{runner.addresses[0][1]}")
    seal: Any = None
    try:
        yield Rights(Identities(seal, kube, 60), clock)
    finally:
        await runner.cleanup()


async def test_what_the_rules_leave_open_is_reviewed_one_by_one(reviewer: Reviewer) -> None:
    async with rights_at(reviewer, lambda: 0.0) as rights:
        place = Place(VIRTUAL_SERVICES, "default", "reviews")
        assert await rights.of(Identity("jane"), [place]) == [{"create": True, "update": False, "delete": True}]
        reviewer.asked.clear()
        assert await rights.of(Identity("jane"), [Place(GATEWAY_CLASSES, "", "x")]) == [NOTHING | {"delete": True}]
        assert set(reviewer.asked) == {"selfsubjectaccessreviews"}


async def test_a_hundred_rows_cost_one_question_a_namespace_and_are_remembered(reviewer: Reviewer) -> None:
    now = [0.0]
    async with rights_at(reviewer, lambda: now[0]) as rights:
        places = [Place(VIRTUAL_SERVICES, f"n{number % 2}", "") for number in range(100)]
        await rights.of(Identity("jane"), places)
        assert reviewer.asked.count("selfsubjectrulesreviews") == 2
        await rights.of(Identity("jane"), [*places, Place(DESTINATION_RULES, "n1", "x")])
        assert reviewer.asked.count("selfsubjectrulesreviews") == 2
        await rights.of(Identity("joe"), places[:1])
        assert reviewer.asked.count("selfsubjectrulesreviews") == 3, "what jane may is not what joe may"
        now[0] += KEPT_SECONDS + 1
        await rights.of(Identity("jane"), places[:1])
        assert reviewer.asked.count("selfsubjectrulesreviews") == 4
