"""Who gets in, with what, and for how long."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from kaiki.console.access import COOKIE, Access
from kaiki.console.login_page import choose_language, render_login_page
from kaiki.console.protection import host_name


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def opened(token: str | None = "secret", clock: Clock | None = None) -> Access:
    return Access(token, session_seconds=100, code_seconds=60, clock=clock or Clock())


def request_with(**headers: str) -> web.Request:
    return make_mocked_request("GET", "/", headers=headers)


def cookie_of(access: Access) -> str:
    response = web.Response()
    access.open_session(response)
    return response.cookies[COOKIE].value


def test_bearer_token() -> None:
    access = opened()
    assert access.allows(request_with(Authorization="Bearer secret"))
    assert not access.allows(request_with(Authorization="Bearer other"))
    assert not access.allows(request_with(Authorization="Basic secret"))
    assert not access.allows(request_with())


def test_nobody_gets_in_while_no_token_is_known() -> None:
    for token in (None, ""):
        access = opened(token)
        assert not access.allows(request_with(Authorization="Bearer "))
        assert not access.allows(request_with(Authorization="Bearer None"))
        assert not access.allows(request_with(Cookie=f"{COOKIE}={cookie_of(access)}"))


def test_a_session_lasts_until_its_time() -> None:
    clock = Clock()
    access = opened(clock=clock)
    cookie = cookie_of(access)
    assert access.allows(request_with(Cookie=f"{COOKIE}={cookie}"))
    clock.now += 101
    assert not access.allows(request_with(Cookie=f"{COOKIE}={cookie}"))


def test_a_session_survives_a_restart_but_not_a_new_token() -> None:
    cookie = cookie_of(opened())
    assert opened().allows(request_with(Cookie=f"{COOKIE}={cookie}"))
    assert not opened("rotated").allows(request_with(Cookie=f"{COOKIE}={cookie}"))


def test_a_session_cannot_be_stretched() -> None:
    access = opened()
    expiry, _, seal = cookie_of(access).partition(".")
    for forged in (f"{int(expiry) + 1}.{seal}", f"{expiry}.", f"{expiry}", f".{seal}", "²." + seal, f"{expiry}.é"):
        assert not access.allows(request_with(Cookie=f"{COOKIE}={forged}"))


def test_the_cookie_is_for_this_site_and_not_for_scripts() -> None:
    response = web.Response()
    opened().open_session(response)
    cookie = response.cookies[COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Strict"
    assert "secret" not in cookie.OutputString()


def test_a_login_code_works_once() -> None:
    access = opened()
    code = access.issue_code()
    assert access.redeem_code(code)
    assert not access.redeem_code(code)


def test_a_login_code_works_for_a_minute() -> None:
    clock = Clock()
    access = opened(clock=clock)
    code = access.issue_code()
    clock.now += 61
    assert not access.redeem_code(code)


def test_codes_do_not_pile_up() -> None:
    access = opened()
    codes = [access.issue_code() for _ in range(150)]
    assert sum(access.redeem_code(code) for code in codes) == 100


def test_host_names() -> None:
    assert host_name("LOCALHOST:8080") == "localhost"
    assert host_name("[::1]:20001") == "[::1]"
    assert host_name("kiali.istio-system.") == "kiali.istio-system"
    assert host_name("localhost:80@evil.example") == "localhost:80@evil.example"
    assert host_name("[::1]evil") == "[::1]evil"
    assert host_name("") == ""


def test_login_page_speaks_the_browsers_language() -> None:
    assert choose_language("fr-FR, ko-KR;q=0.8, en;q=0.7") == "ko"
    assert choose_language("") == "en"
    page, policy = render_login_page("ko", "wrongToken")
    assert '<html lang="ko">' in page
    assert "토큰이 올바르지 않습니다" in page
    assert "script" not in policy
