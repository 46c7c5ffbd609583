"""What axe finds wrong with what is seen for a moment only: wizard forms, a conflict, the palette, the way in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from mesh import Mesh
from playwright.sync_api import Browser, Page, expect
from test_console import DETAILS_DELAY, axe_violations, config_address

pytestmark = pytest.mark.e2e

PATIENCE_MILLISECONDS = 30_000
WIZARDS = ("shift", "header", "fault", "timeout", "breaker", "mtls", "access")
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def page(bookinfo: Mesh, browser: Browser) -> Iterator[Page]:
    """Of somebody who came in by the link of `kaiki dashboard`, and may change things."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    page.goto(bookinfo.kaiki("dashboard", "--no-open").split()[-1])
    page.wait_for_url("**/graph*")
    yield page
    context.close()


def expect_nothing_wrong(page: Page, what: str) -> None:
    """In both themes."""
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert not axe_violations(page), f"{what}, {theme}"


def test_the_wizards_forms(bookinfo: Mesh, page: Page) -> None:
    for wizard in WIZARDS:
        address = f"/config/wizard?service=default/reviews&wizard={wizard}"
        page.goto(bookinfo.environment["KAIKI_CONSOLE_URL"] + address)
        expect(page.get_by_role("region", name="YAML")).to_be_visible()
        expect_nothing_wrong(page, wizard)


def test_a_conflict_in_the_editor(bookinfo: Mesh, page: Page) -> None:
    bookinfo.kubectl("apply", "-f", "-", given=json.dumps(DETAILS_DELAY))
    try:
        page.goto(config_address(bookinfo, "details-delay"))
        editor = page.get_by_role("textbox", name="YAML of the object")
        expect(editor).to_contain_text("fixedDelay")
        bookinfo.kubectl("label", "virtualservice", "details-delay", "touched=meanwhile")
        editor.press("Control+End")
        page.keyboard.type("    timeout: 7s")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("alert").locator(".diff-removed").first).to_be_visible()
        expect_nothing_wrong(page, "the conflict")
    finally:
        bookinfo.kubectl("delete", "virtualservice", "details-delay")


def test_the_command_palette(bookinfo: Mesh, page: Page) -> None:
    page.goto(bookinfo.environment["KAIKI_CONSOLE_URL"] + "/mesh")
    expect(page.get_by_role("heading", name="Control plane")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search pages")).to_be_focused()
    expect_nothing_wrong(page, "the palette")
    page.keyboard.type("reviews")
    expect(page.locator(".palette li").first).to_be_visible()
    expect_nothing_wrong(page, "what the palette finds")
    page.keyboard.type("nothing has this name")
    expect_nothing_wrong(page, "a palette that finds nothing")


def test_the_login_page(bookinfo: Mesh, browser: Browser) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(bookinfo.environment["KAIKI_CONSOLE_URL"] + "/login")
    expect(page.get_by_role("heading", name="Log in to the console")).to_be_visible()
    expect_nothing_wrong(page, "the login page")
    context.close()
