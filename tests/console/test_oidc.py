"""Login by OpenID Connect: a provider that signs, and answers that are forged, replayed or of somebody else."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import fake_provider
import pytest
from yarl import URL


async def test_a_login_leads_back_and_lasts(provider: Any) -> None:
    async with fake_provider.console(provider) as browser:
        assert (await browser.get("/api/me"))[0] == 401
        assert (
            'href="/login/oidc?to=%2Fconfig%3Fkind%3DGateway"'
            in (await browser.get("/login?to=/config?kind=Gateway"))[1]
        )
        status, text = await browser.log_in("/config?kind=Gateway%26b=1")
        assert (status, 'url=/config?kind=Gateway&amp;b=1"' in text) == (200, True)
        assert (await browser.get("/api/me"))[0] == 200
        cookies = {cookie.key: cookie for cookie in browser.session.cookie_jar}
        assert set(cookies) == {"kaiki_person"}, "what was kept for the login is gone"
        assert cookies["kaiki_person"]["httponly"] and cookies["kaiki_person"]["samesite"] == "Strict"
        assert "jane" not in cookies["kaiki_person"].value


@pytest.mark.parametrize(("key", "algorithm"), [("rsa", "RS256"), ("rsa", "PS512"), ("ec", "ES256")])
async def test_every_usual_signature_is_understood(provider: Any, key: str, algorithm: str) -> None:
    provider.sign = lambda claims: provider.signed(claims, key, algorithm=algorithm)
    async with fake_provider.console(provider) as browser:
        assert (await browser.log_in())[0] == 200


FORGERIES: dict[str, tuple[dict[str, Any], str]] = {
    "another nonce": ({"nonce": "another"}, "nonce differs"),
    "no nonce": ({"nonce": None}, "nonce differs"),
    "another audience": ({"aud": "other"}, "Audience doesn"),
    "made for somebody else": ({"aud": ["kaiki", "other"], "azp": "other"}, "azp"),
    "several audiences": ({"aud": ["kaiki", "other"]}, "azp"),
    "another issuer": ({"iss": "https://evil.example"}, "Invalid issuer"),
    "expired": ({"exp": time.time() - 120}, "clocks"),
    "of tomorrow": ({"iat": time.time() + 86400}, "clocks"),
    "not yet": ({"nbf": time.time() + 86400}, "clocks"),
    "without an end": ({"exp": None}, "token that is not good"),
    "nobody": ({"email": None}, "&#x27;email&#x27;; there are aud"),
    "not verified": ({"email_verified": False}, "has not verified"),
    "in no group": ({"groups": ["others"]}, "in none of the groups"),
}


@pytest.mark.parametrize("case", FORGERIES)
async def test_a_token_that_is_not_good_lets_nobody_in(provider: Any, case: str) -> None:
    changes, told = FORGERIES[case]
    provider.change = lambda claims: {key: value for key, value in (claims | changes).items() if value is not None}
    async with fake_provider.console(provider) as browser:
        status, text = await browser.log_in()
        assert (status, told in text) == (403, True), text
        assert await browser.user() == "nobody"


async def test_a_signature_that_proves_nothing_lets_nobody_in(provider: Any) -> None:
    stranger = fake_provider.FakeProvider()
    forgers = {
        "unsigned": fake_provider.unsigned,
        "by the public key": lambda claims: fake_provider.by_public_key(claims, provider.public_pem("rsa")),
        "by somebody else's key": stranger.signed,
        "by a key nobody lists": lambda claims: provider.signed(claims, kid="unknown"),
        "by one key under another's name": lambda claims: provider.signed(claims, "ec", kid="rsa"),
        "cut off": lambda claims: provider.signed(claims).rpartition(".")[0] + ".",
        "no token": lambda _: "hello",
    }
    async with fake_provider.console(provider) as browser:
        for name, sign in forgers.items():
            provider.sign = sign
            status, text = await browser.log_in()
            assert (status, "token that is not good" in text) == (403, True), name
        assert await browser.user() == "nobody"


async def test_an_answer_counts_once_and_only_in_the_browser_that_asked(provider: Any) -> None:
    async with fake_provider.console(provider) as browser, aiohttp.ClientSession() as other:
        back = await browser.begin()
        async with other.get(back) as answer:
            assert answer.status == 403 and "not started in this browser" in await answer.text()
        kept = browser.session.cookie_jar.filter_cookies(URL(back))
        assert (await browser.get(back))[0] == 200
        tokens = provider.asked.count("token")
        browser.session.cookie_jar.clear()
        replayed = {"Cookie": "; ".join(f"{name}={cookie.value}" for name, cookie in kept.items())}
        async with other.get(back, headers=replayed) as answer:
            assert answer.status == 403, "even with the cookie of the first time"
        assert provider.asked.count("token") == tokens, "the code was shown to nobody"


async def test_another_state_than_the_cookies_is_refused(provider: Any) -> None:
    async with fake_provider.console(provider) as browser:
        first, second = await browser.begin(), await browser.begin()
        mixed = first.replace(parse_qs(urlsplit(first).query)["state"][0], "made-up")
        assert (await browser.get(mixed))[0] == 403
        assert (await browser.get(first))[0] == 200, "two tabs do not disturb each other"
        assert (await browser.get(second))[0] == 200


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
        "/login",
    ],
)
async def test_a_login_leads_nowhere_else(provider: Any, to: str) -> None:
    async with fake_provider.console(provider) as browser:
        _, text = await browser.log_in(to)
        assert re.findall(r'url=([^"]*)"', text) == ["/"]
        form = {"token": fake_provider.CONSOLE_TOKEN, "to": to.replace("%09", "\t")}
        async with browser.session.post(browser.console + "/login", data=form) as answer:
            assert re.findall(r'url=([^"]*)"', await answer.text()) == ["/"]


async def test_the_answer_of_another_provider_is_refused(provider: Any) -> None:
    provider.answer = {"iss": "https://evil.example"}
    async with fake_provider.console(provider) as browser:
        status, text = await browser.log_in()
        assert (status, "another identity provider" in text) == (403, True)
        assert "token" not in provider.asked, "its code was shown to nobody"


async def test_a_provider_that_promises_its_name_must_give_it(provider: Any) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    async with fake_provider.console(provider) as browser:
        assert (await browser.log_in())[0] == 403
        provider.answer = {"iss": provider.url}
        assert (await browser.log_in())[0] == 200


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"issuer": "https://evil.example"}, "calls itself"),
        ({"token_endpoint": "http://evil.example/token"}, "no https address"),
        ({"jwks_uri": None}, "no https address"),
    ],
)
async def test_a_provider_that_is_not_what_was_named_is_not_used(provider: Any, metadata: Any, told: str) -> None:
    provider.metadata = metadata
    async with fake_provider.console(provider) as browser:
        status, text, _ = await browser.get("/login/oidc")
        assert (status, told in text, "--oidc-issuer" in text) == (503, True, True)


async def test_long_answers_are_read_whole_and_endless_ones_are_not(provider: Any) -> None:
    provider.metadata = {"padding": "x" * 300_000}
    async with fake_provider.console(provider) as browser:
        assert (await browser.log_in())[0] == 200
    provider.metadata = {"padding": "x" * 600_000}
    async with fake_provider.console(provider) as browser:
        status, text, _ = await browser.get("/login/oidc")
        assert (status, "longer than" in text) == (503, True)


async def test_what_the_provider_refuses_is_told_as_text(provider: Any) -> None:
    provider.answer = {"error": "access_denied", "error_description": "<script>alert(1)</script>"}
    async with fake_provider.console(provider) as browser:
        status, text = await browser.log_in()
        assert (status, "access_denied &lt;script&gt;" in text) == (403, True)


async def test_an_outage_ends_by_itself(provider: Any) -> None:
    provider.up = False
    async with fake_provider.console(provider) as browser:
        status, text, _ = await browser.get("/login/oidc", **{"Accept-Language": "ko"})
        assert (status, "신원 제공자가 제대로 응답하지 않습니다" in text, "HTTP 502" in text) == (503, True, True)
        assert "<form" in text, "the token's way stays open"
        provider.up = True
        assert (await browser.log_in())[0] == 200


async def test_a_wrong_client_secret_is_told(provider: Any) -> None:
    async with fake_provider.console(provider, oidc={"client_secret": "old"}) as browser:
        status, text = await browser.log_in()
        assert (status, "does not accept the client" in text, "old" in text) == (500, True, False)


async def test_a_rotated_key_is_asked_for(provider: Any) -> None:
    provider.listed = ["ec"]
    provider.sign = lambda claims: provider.signed(claims, "ec")
    async with fake_provider.console(provider) as browser:
        assert (await browser.log_in())[0] == 200
        provider.listed, provider.sign = ["rsa"], provider.signed
        for _ in range(5):
            await browser.log_in()
        assert provider.asked.count("keys") == 1, "made-up key names do not make us ask more"
