"""The tutorial's way through the console with the keyboard alone: no click, and the focus can always be seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from load import SteadyLoad
from mesh import Mesh, wait_until
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.e2e

PATIENCE_MILLISECONDS = 30_000
MOST_STEPS = 150
DELAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "ratings-by-keys", "namespace": "default"},
    "spec": {"hosts": ["ratings"], "http": [{"route": [{"destination": {"host": "ratings"}}]}]},
}
FOCUSED = """async () => {
  let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const name = at.getAttribute("aria-label") ?? at.labels?.[0]?.innerText ?? at.textContent ?? "";
  const near = [at, at.parentElement, at.parentElement?.parentElement, ...[...at.querySelectorAll("*")].slice(0, 40)];
  const looks = () => near.map((part) => {
    const style = part ? getComputedStyle(part) : {};
    const { outline, boxShadow, borderColor, stroke, strokeWidth, backgroundColor, filter, opacity, clip, top } = style;
    return [outline, boxShadow, borderColor, stroke, strokeWidth, backgroundColor, filter, opacity, clip, top].join();
  }).join(";");
  const focused = looks();
  // The editor draws its frame, and takes it away, a moment later.
  const editor = at.closest(".cm-editor");
  const frame = () => editor !== null && getComputedStyle(editor).outlineStyle !== "none";
  for (let turn = 0; editor !== null && !frame() && turn < 20; turn++) await new Promise((go) => setTimeout(go, 25));
  const framed = frame();
  at.blur();
  const shown = framed || looks() !== focused;
  at.focus({ preventScroll: true });
  return { name: name.replace(/\\s+/g, " ").trim(), tag: at.tagName.toLowerCase(), shown };
}"""
"""What has the focus, and whether it, or what stands close to it, looks otherwise without it."""


class Keyboard:
    """Goes through a page by Tab, and notes where the focus could not be seen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.unseen: set[str] = set()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go_to(self, wanted: str, back: bool = False) -> None:
        """Tab on until the name of what has the focus matches; a trap, or what cannot be reached, fails."""
        passed = []
        for _ in range(MOST_STEPS):
            self.press("Shift+Tab" if back else "Tab")
            found = self.page.evaluate(FOCUSED)
            if found["tag"] not in ("body", "html") and not found["shown"]:
                self.unseen.add(f"{found['tag']} {found['name'][:60]}")
            passed.append(found["name"][:40])
            if re.search(wanted, found["name"]):
                return
        raise AssertionError(f"{wanted!r} is not reached by Tab from {self.page.url}; passed: {passed}")

    def palette(self, text: str, title: str) -> None:
        """Go somewhere by the command palette."""
        self.press("Control+k")
        expect(self.page.get_by_role("combobox", name="Search pages")).to_be_focused()
        self.page.keyboard.type(text)
        expect(self.page.locator(".palette li[aria-selected=true]")).to_contain_text(title)
        self.press("Enter")
        expect(self.page.locator("dialog")).to_have_count(0)


@pytest.fixture(scope="module")
def page(bookinfo: Mesh, browser: Browser) -> Iterator[Page]:
    """A page of somebody who came in by the link of `kaiki dashboard`, and whose mesh has traffic."""
    bookinfo.kubectl("apply", "-f", "-", given=json.dumps(DELAY))
    with SteadyLoad(f"{bookinfo.gateway}/productpage", 10):
        wait_until(lambda: len(bookinfo.graph("300s")["edges"]) >= 7, "the graph has Bookinfo's edges", 30)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        page = context.new_page()
        page.goto(bookinfo.kaiki("dashboard", "--no-open").split()[-1])
        page.wait_for_url("**/graph*")
        yield page
        context.close()


def test_the_tutorials_way_without_a_mouse(bookinfo: Mesh, page: Page) -> None:
    keys = Keyboard(page)
    page.wait_for_selector("[data-edge]")
    keys.go_to("Skip to content")
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"

    # An edge and a node are read in the panel; closing it leads back to where one was.
    keys.go_to(r"productpage.*reviews")
    keys.press("Enter")
    expect(page.locator(".panel")).to_contain_text("reviews")
    keys.press("Escape")
    expect(page.locator(".panel")).to_have_count(0)
    assert "reviews" in page.evaluate(FOCUSED)["name"]

    # The same as a table.
    keys.palette("show as table", "Show as a table")
    expect(page.get_by_role("row").nth(3)).to_be_visible()

    # From the list of workloads to one's log.
    keys.palette("workloads", "Workloads")
    page.wait_for_url("**/workloads*")
    keys.go_to(r"^reviews-v2$")
    keys.press("Enter")
    page.wait_for_url("**/workloads/default/reviews-v2*")
    keys.go_to(r"^Logs")
    keys.press("Enter")
    expect(page.get_by_role("log").first).to_contain_text("reviews serves")

    # A configuration object is found, changed and saved.
    keys.palette("by-keys", "ratings-by-keys")
    page.wait_for_url("**/config/object*")
    editor = page.get_by_role("textbox", name="YAML of the object")
    expect(editor).to_contain_text("ratings")
    keys.go_to("YAML of the object")
    keys.press("Control+End")
    page.keyboard.type("    timeout: 9s")
    # What is not saved is there again after a look elsewhere.
    keys.palette("mesh", "Mesh")
    page.wait_for_url("**/mesh*")
    keys.palette("by-keys", "ratings-by-keys")
    expect(editor).to_contain_text("timeout: 9s")
    expect(page.get_by_text("This is your text from before")).to_be_visible()
    expect(page.get_by_text("No problems found")).to_be_visible()
    keys.go_to("YAML of the object")
    keys.press("Escape", "Escape")  # Suggestions, if there are any; then Tab is no indentation.
    keys.go_to(r"^Save$")
    keys.press("Enter")
    name = DELAY["metadata"]["name"]  # type: ignore[index]
    wait_until(lambda: "9s" in bookinfo.kubectl("get", "virtualservice", name, "-o", "json"), "saved", 30)

    # A request is explained.
    keys.palette("explain", "Explain")
    page.wait_for_url("**/explain*")
    keys.go_to(r"^From \(namespace")
    page.keyboard.type("default/reviews-v2")
    keys.go_to("^URL")
    page.keyboard.type("http://ratings:9080/ratings/0")
    keys.press("Enter")
    expect(page.locator("main")).to_contain_text("ratings-by-keys")

    # The other language, and back.
    keys.palette("한국어", "한국어")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    keys.press("Control+k")
    expect(page.locator(".palette input")).to_be_focused()
    keys.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    assert not keys.unseen, "where the focus cannot be seen"
