"""Who has logged in by OpenID Connect: how long, on which cookies, and whom changes are made as."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fake_provider
import jwt
import pytest
from aiohttp import web

from kaiki.console.oidc.settings import ActsBy
from kaiki.kube.config import KubeConfig


async def test_an_ended_token_is_renewed_once_for_all(provider: Any) -> None:
    provider.lifetime = 1  # Within the margin: due at once.
    async with fake_provider.console(provider) as browser:
        await browser.log_in()
        first = {cookie.key: cookie.value for cookie in browser.session.cookie_jar}
        provider.lifetime = 300
        answers = await asyncio.gather(*(browser.get("/api/me") for _ in range(5)))
        assert [status for status, _, _ in answers] == [200] * 5
        assert provider.asked.count("token") == 2
        assert {cookie.key: cookie.value for cookie in browser.session.cookie_jar} != first
        provider.refreshes = False
        assert (await browser.get("/api/me"))[0] == 200


async def test_whom_the_provider_no_longer_knows_is_out(provider: Any) -> None:
    provider.lifetime = 1
    async with fake_provider.console(provider) as browser:
        await browser.log_in()
        provider.refreshes = False
        assert (await browser.get("/api/me"))[0] == 401


@pytest.mark.parametrize("changes", [{"sub": "43"}, {"groups": []}])
async def test_a_renewal_for_somebody_else_or_without_the_right_ends_the_session(provider: Any, changes: Any) -> None:
    provider.lifetime = 1
    async with fake_provider.console(provider) as browser:
        await browser.log_in()
        provider.claims = provider.claims | changes
        assert (await browser.get("/api/me"))[0] == 401


async def test_a_large_token_comes_in_two_cookies_and_a_huge_one_is_told(provider: Any) -> None:
    provider.claims = provider.claims | {"groups": ["readers", *(secrets.token_hex(16) for _ in range(90))]}
    async with fake_provider.console(provider) as browser:
        assert (await browser.log_in())[0] == 200
        assert {cookie.key for cookie in browser.session.cookie_jar} == {"kaiki_person", "kaiki_person_2"}
        assert (await browser.get("/api/me"))[0] == 200
        provider.claims = provider.claims | {"groups": ["readers", *(secrets.token_hex(16) for _ in range(300))]}
        status, text = await browser.log_in()
        assert (status, "too large for cookies" in text) == (403, True)


async def test_logging_out_ends_it_here_and_there(provider: Any) -> None:
    provider.metadata = {"end_session_endpoint": provider.url + "/logout"}
    async with fake_provider.console(provider) as browser:
        await browser.log_in()
        assert (await browser.post("/api/logout", {}, Origin="http://evil.example"))[0] == 403
        status, answer = await browser.post("/api/logout", {})
        told = parse_qs(urlsplit(answer["location"]).query)
        assert (status, told["post_logout_redirect_uri"]) == (200, [browser.console + "/login"])
        assert "id_token_hint" in told and await browser.user() == "nobody"


async def test_behind_https_cookies_are_for_https_only(provider: Any) -> None:
    url = "https://mesh.example.org"
    async with fake_provider.console(provider, external_url=url) as browser:
        status, _, headers = await browser.get("/login/oidc?to=/mesh")
        assert (status, headers["Location"]) == (303, f"{url}/login/oidc?to=/mesh"), "the way back leads there"
        status, _, headers = await browser.get("/login/oidc", Host="mesh.example.org")
        sent = parse_qs(urlsplit(headers["Location"]).query)
        assert sent["redirect_uri"] == [f"{url}/login/oidc/callback"]
        assert "Secure" in headers["Set-Cookie"] and "HttpOnly" in headers["Set-Cookie"]
        assert "SameSite=Lax" in headers["Set-Cookie"], "it must come back from the provider's site"
        assert (await browser.get("/login", Host="evil.example"))[0] == 421


async def test_a_sealed_cookie_is_good_for_nothing_else(provider: Any) -> None:
    async with fake_provider.console(provider) as browser:
        await browser.begin()
        kept = next(iter(browser.session.cookie_jar)).value
        for name in ("kaiki_person", "kaiki_identity", "kaiki_session"):
            assert (await browser.get("/api/me", Cookie=f"{name}={kept}"))[0] == 401


def impersonating(**more: Any) -> dict[str, Any]:
    return {"acts_by": ActsBy.IMPERSONATION, **more}


async def test_changes_are_made_as_who_has_logged_in(provider: Any, cluster: Any) -> None:
    await cluster.install(cluster.impersonating())
    view = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
    routes = {"verbs": ["*"], "apiGroups": ["networking.istio.io"], "resources": ["virtualservices"]}
    async with fake_provider.console(provider, cluster.console, oidc=impersonating(groups_prefix="oidc:")) as browser:
        status, text = await browser.log_in()
        assert (status, "--clusterrole=view --user=jane@example.org" in text) == (403, True)
        await cluster.grant({"kind": "Group", "name": "oidc:readers"}, view)
        assert (await browser.log_in())[0] == 200
        assert await browser.user() == "jane@example.org"
        yaml = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: x\nspec:\n  hosts: [x]\n"
        status, refused = await browser.post("/api/config/save", {"yaml": yaml})
        assert (status, 'User "jane@example.org" cannot create' in refused["error"]["message"]) == (403, True)
        await cluster.grant({"kind": "User", "name": "jane@example.org"}, routes, namespace="default")
        assert (await browser.post("/api/config/save", {"yaml": yaml}))[0] == 201


@pytest.mark.parametrize("claims", [{"email": "system:admin"}, {"groups": ["system:masters"]}])
async def test_nobody_becomes_kubernetes_by_what_a_provider_says(provider: Any, cluster: Any, claims: Any) -> None:
    await cluster.install(cluster.impersonating())
    provider.claims = provider.claims | claims
    async with fake_provider.console(provider, cluster.console, oidc=impersonating()) as browser:
        assert (await browser.log_in())[0] == 403
        assert await browser.user() == "nobody"


async def test_what_the_api_server_does_not_allow_or_trust_is_told(provider: Any, cluster: Any) -> None:
    async with fake_provider.console(provider, cluster.console, oidc=impersonating()) as browser:
        status, text = await browser.log_in()
        assert (status, "console.oidc.identity=impersonate" in text) == (500, True)
    async with fake_provider.console(provider, cluster.console) as browser:
        status, text = await browser.log_in()
        assert (status, "--oidc-issuer-url" in text) == (403, True)


async def test_logs_name_people_and_hold_nothing_that_opens_anything(
    provider: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with fake_provider.console(provider) as browser:
        await browser.log_in()
        sealed = next(iter(browser.session.cookie_jar)).value
        provider.claims = provider.claims | {"groups": []}
        await browser.log_in()
    assert "jane@example.org has logged in" in caplog.text and "notInGroup" in caplog.text
    for secret in (fake_provider.SECRET, fake_provider.CONSOLE_TOKEN, sealed, "eyJ", "code="):
        assert secret not in caplog.text


async def test_an_api_server_that_trusts_the_provider_sees_the_persons_own_token(provider: Any) -> None:
    seen: list[tuple[str, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            seen.append((request.headers["Authorization"], request.headers.get("Impersonate-User")))
        user = {"userInfo": {"username": "oidc:jane"}}
        return web.json_response({"status": {"allowed": True, **user}, "items": []}, status=201)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with fake_provider.serving(application) as url:
        kube = KubeConfig(server=url, token="of-the-console", client_key="of-the-console")
        async with fake_provider.console(provider, kube) as browser:
            assert (await browser.log_in())[0] == 200
            assert await browser.user() == "oidc:jane"
    assert len(seen) >= 2
    for authorization, impersonated in seen:
        claims = jwt.decode(authorization.removeprefix("Bearer "), options={"verify_signature": False})
        assert (claims["email"], impersonated) == ("jane@example.org", None)
