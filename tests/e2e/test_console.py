"""The console as people meet it: a real browser on a whole mesh, from login link to fault."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from load import SteadyLoad
from mesh import SAMPLES, Mesh, wait_until
from playwright.sync_api import Browser, BrowserContext, Page, expect
from test_crashes import find, kill

pytestmark = pytest.mark.e2e

PATIENCE_MILLISECONDS = 30_000
PRODUCTPAGE = "workload:default/productpage-v1"
BOOKINFO_EDGES = {
    f"gateway:istio-system/istio-ingressgateway>{PRODUCTPAGE}|http",
    f"{PRODUCTPAGE}>workload:default/details-v1|http",
    f"{PRODUCTPAGE}>workload:default/reviews-v1|http",
    f"{PRODUCTPAGE}>workload:default/reviews-v2|http",
    f"{PRODUCTPAGE}>workload:default/reviews-v3|http",
    "workload:default/reviews-v2>workload:default/ratings-v1|http",
    "workload:default/reviews-v3>workload:default/ratings-v1|http",
}
DETAILS_ABORT = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "details-abort", "namespace": "default"},
    "spec": {
        "hosts": ["details"],
        "http": [
            {
                "fault": {"abort": {"percentage": {"value": 50}, "httpStatus": 503}},
                "route": [{"destination": {"host": "details"}}],
            }
        ],
    },
}
DETAILS_DELAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "details-delay", "namespace": "default"},
    "spec": {
        "hosts": ["details"],
        "http": [
            {
                "fault": {"delay": {"percentage": {"value": 100}, "fixedDelay": "0.3s"}},
                "route": [{"destination": {"host": "details"}}],
            }
        ],
    },
}
DETAILS_PLAIN = {
    **DETAILS_DELAY,
    "metadata": {"name": "details-plain", "namespace": "default"},
    "spec": {"hosts": ["details"], "http": [{"route": [{"destination": {"host": "details"}}]}]},
}
ACCESS_LOG = {
    "apiVersion": "telemetry.istio.io/v1",
    "kind": "Telemetry",
    "metadata": {"name": "access-log", "namespace": "default"},
    "spec": {"accessLogging": [{"providers": [{"name": "envoy"}]}]},
}


@pytest.fixture(scope="module")
def busy(bookinfo: Mesh) -> Iterator[Mesh]:
    """Bookinfo with a steady load, once all its edges are known."""
    with SteadyLoad(f"{bookinfo.gateway}/productpage", 10):
        wait_until(lambda: edge_ids(bookinfo) >= BOOKINFO_EDGES, "the graph has Bookinfo's edges", 30)
        yield bookinfo


@pytest.fixture(scope="module")
def context(busy: Mesh, browser: Browser) -> Iterator[BrowserContext]:
    """A browser that came in by a login link."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + login_path(busy))
    page.wait_for_url("**/graph*")
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must end without an error of its own scripts."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors


def edge_ids(mesh: Mesh) -> set[str]:
    return {edge["id"] for edge in mesh.graph("300s")["edges"]}


AXE = Path(__file__).resolve().parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
LOOKED_AT = (
    ("/graph?duration=300", "[data-edge]"),
    ("/graph?duration=300&view=table", "tbody tr"),
    (f"/graph?duration=300&node={PRODUCTPAGE}", ".panel .plot canvas"),
    ("/overview", ".namespace-card"),
    ("/workloads", "tbody tr"),
    ("/services", "tbody tr"),
    ("/apps/default/productpage", ".direction .plot canvas"),
    ("/apps/default/reviews/versions", "tbody tr"),
    ("/workloads/default/reviews-v2?tab=pods", "table"),
    ("/workloads/default/reviews-v2?tab=logs", "[role=log]"),
    ("/workloads/default/reviews-v2?tab=config", "main section"),
    ("/workloads/default/reviews-v2?tab=traces", "main"),
    ("/requests", ".list-head h1"),
    ("/explain", "form.explain-form"),
    ("/config", "tbody tr"),
    (
        "/config/object?apiVersion=networking.istio.io/v1&kind=VirtualService&namespace=default&name=bookinfo",
        ".cm-line",
    ),
    ("/config/wizard?service=default/ratings&wizard=timeout", "pre.source"),
    ("/config/new", ".cm-line"),
    ("/changes", "main h1"),
    ("/mesh", "tbody tr"),
)
VIOLATIONS = """async () => {
  const found = await axe.run(document);
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: `
    + [...node.any, ...node.all, ...node.none].map((check) => check.message).join("; ")));
}"""


def axe_violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is; put in by the debugger, for which the page's own policy stands."""
    page.evaluate(AXE.read_text())
    found: list[str] = page.evaluate(VIOLATIONS)
    return found


def login_path(mesh: Mesh) -> str:
    """A one-time link, made as `kaiki dashboard` makes it."""
    url = mesh.environment["KAIKI_CONSOLE_URL"] + "/api/login-links"
    headers = {"Authorization": f"Bearer {mesh.environment['KAIKI_CONSOLE_TOKEN']}"}
    with urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers)) as answer:
        return str(json.load(answer)["path"])


def show(page: Page, mesh: Mesh, address: str = "") -> None:
    """Open the graph of the last five minutes, and wait for it to be drawn."""
    page.goto(f"{mesh.environment['KAIKI_CONSOLE_URL']}/graph?duration=300{address}")


def drawn_edges(page: Page) -> set[str]:
    page.wait_for_selector("[data-edge]")
    return set(page.eval_on_selector_all("[data-edge]", "found => found.map(edge => edge.dataset.edge)"))


def expect_plots_with_data(page: Page) -> None:
    """Each plot's legend tells its newest value, which is a dash while there is none."""
    expect(page.locator(".panel .plot canvas").first).to_be_visible()
    newest = page.locator(".panel .plot .u-series .u-value")
    expect(newest.filter(has_text="–")).to_have_count(0)
    assert len([text for text in newest.all_inner_texts() if text]) >= 4


def test_graph_and_table_show_bookinfo(busy: Mesh, page: Page) -> None:
    show(page, busy)
    wait_until(lambda: drawn_edges(page) >= BOOKINFO_EDGES, "Bookinfo's edges are drawn")
    names = page.eval_on_selector_all("[data-edge]", "found => found.map(edge => edge.getAttribute('aria-label'))")
    assert any(name.startswith("productpage v1 → details v1, http") for name in names)

    page.get_by_role("button", name="Table").click()
    page.wait_for_selector("tbody tr")
    rows = [
        " ".join(row.split()).removesuffix(" ")
        for row in page.eval_on_selector_all(
            "tbody tr", "rows => rows.map(row => row.cells[1].textContent + '>' + (row.cells[2]?.textContent ?? ''))"
        )
    ]
    for source, target in (
        ("istio-ingressgateway istio-system", "productpage v1 default"),
        ("productpage v1 default", "details v1 default"),
        ("productpage v1 default", "reviews v1 default"),
        ("productpage v1 default", "reviews v2 default"),
        ("productpage v1 default", "reviews v3 default"),
        ("reviews v2 default", "ratings v1 default"),
        ("reviews v3 default", "ratings v1 default"),
    ):
        assert f"{source}>{target}" in rows


def test_edges_of_requests_tell_their_bytes(busy: Mesh, page: Page) -> None:
    (details,) = [edge for edge in busy.graph("300s")["edges"] if ">workload:default/details-v1" in edge["id"]]
    # GET /details/0 is some hundred bytes with its headers, and the answer is a JSON object of about as much.
    for name in ("bytesReceivedPerSecond", "bytesSentPerSecond"):
        assert 50 < details[name] / details["requestsPerSecond"] < 10_000
    show(page, busy, "&label=bytes&find=bytes+>+0b/s")
    page.wait_for_selector("[data-edge]")
    expect(page.locator('[data-edge$=">workload:default/details-v1|http"]')).to_have_attribute(
        "aria-label", re.compile("B/s")
    )
    expect(page.locator(".find output")).not_to_have_text("0 found")


def test_find_hide_and_focus(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/graph?namespaces=default")
    find = page.get_by_role("combobox", name="Find")
    find.fill("namespace = default and name ~ reviews")
    expect(page.locator(".find output")).to_have_text("3 found")
    find.fill("speed > 5")
    expect(page.locator(".find output")).to_contain_text("speed is unknown")
    find.fill("")
    page.locator('[data-node="workload:default/ratings-v1"]').click()
    page.get_by_role("button", name="Only neighbours").click()
    expect(page.locator(".canvas [data-node]")).to_have_count(3)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator('[data-node="workload:default/details-v1"]')).to_be_visible()
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/graph?namespaces=default&hide=name+~+reviews")
    expect(page.locator('[data-node="workload:default/details-v1"]')).to_be_visible()
    expect(page.locator('[data-node="workload:default/reviews-v1"]')).to_have_count(0)
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/graph?type=namespace")
    expect(page.locator('[data-node="namespace:default"]')).to_be_visible()


def test_zooming_from_the_cluster_to_pods(busy: Mesh, page: Page) -> None:
    busy.kubectl("scale", "deployment", "reviews-v1", "--replicas=3")
    busy.kubectl("rollout", "status", "deployment", "reviews-v1", "--timeout=90s")
    try:
        page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/graph?type=cluster")
        for opened, inner in (
            ("cluster", "namespace:default"),
            ("namespace:default", "app:default/reviews"),
            ("app:default/reviews", "workload:default/reviews-v1"),
            ("workload:default/reviews-v1", "workload:default/reviews-v1"),
        ):
            page.locator(f'[data-node="{opened}"]').dblclick()
            expect(page.locator(f'[data-node="{inner}"]')).to_be_visible()
        # What is found now are the workload and its pods; the others stand back.
        pods = page.locator('[data-node^="pod:default/reviews-v1/"]')
        expect(pods).to_have_count(3, timeout=PATIENCE_MILLISECONDS)
        expect(page.locator('[data-node^="pod:default/details-v1/"]')).to_have_class(re.compile(r"\bfaded\b"))
        arrows = page.locator('[data-edge^="workload:default/reviews-v1>pod:default/reviews-v1/"]')
        expect(arrows).to_have_count(3, timeout=PATIENCE_MILLISECONDS)
        pods.first.click()
        expect(page.locator(".panel-kind")).to_contain_text("Pod")
        expect_plots_with_data(page)
        page.get_by_role("button", name="From farther away").click()
        expect(page.locator('[data-node^="pod:"]')).to_have_count(0)
        expect(page.locator('[data-node="workload:default/reviews-v2"]')).to_be_visible()
    finally:
        busy.kubectl("scale", "deployment", "reviews-v1", "--replicas=1")
        named = ("get", "pods", "-l", "app=reviews,version=v1", "-o", "name")
        wait_until(lambda: len(busy.kubectl(*named).split()) == 1, "the others are gone", 60)

    # Requests are counted once: what pods say they answered is what their workload's callers say they asked.
    def counted() -> list[float]:
        edges = busy.graph("300s&graphType=pod")["edges"]
        return [
            sum(edge["requestCount"] for edge in edges if edge[end] == "workload:default/reviews-v1")
            for end in ("target", "source")
        ]

    # The proxies are read some seconds apart, in which a dozen requests come.
    wait_until(lambda: min(counted()) >= 60, "enough requests", 60)
    asked, answered = counted()
    assert answered == pytest.approx(asked, abs=25)


def test_selecting_plots_the_history(busy: Mesh, page: Page) -> None:
    show(page, busy)
    page.locator('[data-node="workload:default/details-v1"]').click()
    expect(page.locator(".panel h2")).to_contain_text("details")
    expect_plots_with_data(page)
    # By key, as somebody without a mouse would.
    page.locator('[data-edge$=">workload:default/details-v1|http"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator(".panel h2")).to_contain_text("productpage v1")
    expect_plots_with_data(page)
    assert "edge=" in page.url
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_have_count(0)


def test_a_fault_shows_by_itself(busy: Mesh, page: Page) -> None:
    show(page, busy)
    page.wait_for_selector("[data-edge]")
    page.evaluate("window.notReloaded = true")
    failing = page.locator('.edge-failure[data-edge^="workload:default/productpage-v1>"][data-edge*="details"]')
    assert failing.count() == 0
    busy.kubectl("apply", "-f", "-", given=json.dumps(DETAILS_ABORT))
    try:
        expect(failing).to_have_count(1, timeout=PATIENCE_MILLISECONDS)
        failing.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".panel .verdict")).to_contain_text("A fault was injected")
        assert page.evaluate("window.notReloaded") is True
    finally:
        busy.kubectl("delete", "virtualservice", "details-abort")


def test_the_graph_is_told_and_not_asked_for(busy: Mesh, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("?")[0].rpartition("/api")[2]))
    show(page, busy)
    # Each stream calls lists stale once, after its second or third step: these are asked for, and then nothing more.
    for _ in range(3):
        tells_the_time_anew(page)
    page.wait_for_timeout(1000)
    del asked[:]
    for _ in range(2):
        tells_the_time_anew(page)
    assert not {"/graph", "/namespaces", "/changes", "/config"} & set(asked), asked
    # Pages that nobody looks at follow nothing, so the one that is left open is told of a change made elsewhere.
    page.get_by_role("link", name="Config", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    busy.kubectl("apply", "-f", "-", given=json.dumps(DETAILS_PLAIN))
    try:
        expect(page.get_by_role("link", name="details-plain")).to_be_visible(timeout=8000)
    finally:
        busy.kubectl("delete", "virtualservice", "details-plain")
    expect(page.get_by_role("link", name="details-plain")).to_have_count(0, timeout=8000)


def test_a_card_stays_where_it_was_put(busy: Mesh, page: Page) -> None:
    show(page, busy)
    card = page.locator('[data-node="workload:default/details-v1"]')
    others = page.locator("[data-node]:not(.pinned)")
    expect(card).to_be_visible()
    tells_the_time_anew(page)
    before = {one: box for one, box in places(page).items() if "details-v1" not in one}
    frame = card.bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 20, frame["y"] + 20)
    page.mouse.down()
    page.mouse.move(frame["x"] + 60, frame["y"] + 120, steps=8)
    page.mouse.up()
    expect(card).to_have_class(re.compile(r"\bpinned\b"))
    expect(page.locator("aside.panel")).to_have_count(0)  # A drag selects nothing.
    put = places(page)["workload:default/details-v1"]
    assert {one: box for one, box in places(page).items() if "details-v1" not in one} == before
    tells_the_time_anew(page)
    page.wait_for_url("**pins=*")
    linked = page.url
    page.reload()
    expect(card).to_have_class(re.compile(r"\bpinned\b"))
    assert whole(places(page)["workload:default/details-v1"]) == whole(put)
    card.focus()
    page.keyboard.press("Shift+ArrowRight")
    assert whole(places(page)["workload:default/details-v1"]) == [whole(put)[0] + 20, whole(put)[1]]
    page.get_by_role("button", name="Release pinned cards (1)").click()
    expect(page.locator(".node.pinned")).to_have_count(0)
    page.wait_for_url(lambda url: "pins=" not in url)
    page.goto(linked)  # As somebody else opens it, whose browser has kept nothing.
    expect(card).to_have_class(re.compile(r"\bpinned\b"))
    assert whole(places(page)["workload:default/details-v1"]) == whole(put)
    page.get_by_role("button", name="Release pinned cards (1)").click()
    expect(page.locator(".node.pinned")).to_have_count(0)
    card.focus()
    page.keyboard.press("p")
    expect(card).to_have_class(re.compile(r"\bpinned\b"))
    page.keyboard.press("p")
    expect(others).to_have_count(len(before) + 1)


def whole(transform: str) -> list[int]:
    """`translate(x y)` in whole units, as addresses hold them."""
    return [round(float(part)) for part in transform.removeprefix("translate(").removesuffix(")").split()]


def places(page: Page) -> dict[str, str]:
    found: list[tuple[str, str]] = page.eval_on_selector_all(
        "[data-node]", "cards => cards.map(card => [card.dataset.node, card.getAttribute('transform')])"
    )
    return dict(found)


def tells_the_time_anew(page: Page) -> None:
    status = page.locator("footer.status")
    before = status.inner_text()
    # Of the same kind: the other one has no line ends, and is never the same.
    expect(status).not_to_have_text(before, use_inner_text=True, timeout=PATIENCE_MILLISECONDS)


def test_the_graph_goes_on_after_the_console_was_killed(busy: Mesh, page: Page) -> None:
    show(page, busy)
    page.wait_for_selector("[data-edge]")
    tells_the_time_anew(page)
    page.evaluate("window.notReloaded = true")
    kill(find(busy, lambda process: "kaiki console" in process.command))
    assert drawn_edges(page) >= BOOKINFO_EDGES, "what was known is still shown"
    for _ in range(3):
        tells_the_time_anew(page)
    expect(page.locator("[role=alert]")).to_have_count(0, timeout=PATIENCE_MILLISECONDS)
    assert page.evaluate("window.notReloaded") is True


def test_a_comparison_names_the_change_beside_the_edge_that_became_slower(busy: Mesh, page: Page) -> None:
    details = f"{PRODUCTPAGE}>workload:default/details-v1|http"
    begun = time.time() - 1
    busy.kubectl("apply", "-f", "-", given=json.dumps(DETAILS_DELAY))

    def compared() -> dict[str, Any]:
        answer = busy.console(f"/api/graph/compare?duration=15s&baseline={begun}")
        found: dict[str, Any] = answer["comparison"] | {"at": answer["timestamp"]}
        return found

    def told() -> bool:
        comparison = compared()
        return "slower" in comparison["edges"].get(details, {"kinds": []})["kinds"] and details in comparison["beside"]

    try:
        wait_until(told, "the edge to details is slower, and a change beside it", 60)
        at = int(compared()["at"])
        times = f"&duration=15&at={at}&compare={at - int(begun)}"
        page.goto(f"{busy.environment['KAIKI_CONSOLE_URL']}/graph?namespaces=default{times}")
        expect(page.locator(".comparison")).to_contain_text("VirtualService details-delay created")
        page.locator(f'.edge-change-slower[data-edge="{details}"]').focus()
        page.keyboard.press("Enter")
        beside = page.locator(".comparison-section")
        expect(beside).to_contain_text("names it as a host")
        mark = page.get_by_role("link", name="VirtualService default/details-delay created by").first
        mark.focus()
        expect(page.locator(".change-told:visible")).to_contain_text("details-delay")
        assert not axe_violations(page)
        beside.get_by_role("link", name="VirtualService details-delay").click()
        expect(page.locator(".diff")).to_contain_text("fixedDelay")
    finally:
        busy.kubectl("delete", "virtualservice", "details-delay")


def test_the_past_is_replayed_until_it_is_live_again(busy: Mesh, page: Page) -> None:
    past = int(time.time())  # All of Bookinfo's edges are known by now.
    show(page, busy, f"&at={past}&with={past - 5}")
    expect(page.get_by_role("group", name="Replay")).to_be_visible()
    expect(page.locator(".comparison-counts")).to_contain_text("Compared with")
    assert drawn_edges(page) >= BOOKINFO_EDGES
    slider = page.get_by_role("slider", name="Replay")
    for step in (5, 10):
        page.get_by_role("button", name="5 s earlier").click()
        expect(slider).to_have_value(str(past - step))
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".live")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    expect(page.get_by_role("group", name="Replay")).to_have_count(0)
    assert "at=" not in page.url and "with=" in page.url


def test_two_versions_are_compared(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/apps/default/reviews")
    page.get_by_role("link", name="Compare versions").click()
    page.get_by_label("Compared").select_option("v2")
    calls = page.get_by_role("region", name="What they call").locator("tbody tr")
    expect(calls).to_contain_text(["ratings v1"])
    expect(calls.first).to_contain_text("no such call")
    expect(calls.first).to_contain_text("only v2")
    numbers = page.get_by_role("region", name="Inbound")
    expect(numbers.get_by_role("row", name=re.compile("^p95 .* ms .* ms"))).to_be_visible()
    expect(numbers.get_by_role("row", name=re.compile("^Code 200.* 100% 100%"))).to_be_visible()
    assert "version=v2" in page.url


def test_a_failed_request_is_found_with_its_reason_and_the_object_responsible(busy: Mesh, page: Page) -> None:
    logging = str(SAMPLES / "telemetry" / "log-failures.yaml")
    busy.kubectl("apply", "-f", logging)
    busy.kubectl("apply", "-f", "-", given=json.dumps(DETAILS_ABORT))
    try:
        address = "/requests?namespaces=default&workload=productpage-v1&flags=FI"
        page.goto(busy.environment["KAIKI_CONSOLE_URL"] + address)
        row = page.get_by_role("button", name="GET details:9080/details/0").first
        row.wait_for(timeout=2 * PATIENCE_MILLISECONDS)
        row.focus()
        page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name="Why")
        expect(panel).to_contain_text("A fault was injected on purpose")
        expect(panel.get_by_role("link", name="VirtualService default/details-abort")).to_be_visible()
        page.get_by_label("Host or path contains").fill("/no-such-path")
        expect(page.get_by_text("No request in the logs fits.")).to_be_visible()
        page.get_by_label("Host or path contains").fill("/details")
        row.click()
        panel.get_by_role("link", name="Explain").click()
        told = page.get_by_role("region", name="The request that was made")
        expect(told).to_contain_text("A fault was injected on purpose")
        expect(told.get_by_role("link", name="VirtualService default/details-abort")).to_be_visible()
        expect(told).to_contain_text("Today's configuration treats it the same way.")
        expect(page.get_by_role("heading", name="The same request today")).to_be_visible()
    finally:
        busy.kubectl("delete", "virtualservice", "details-abort")
        busy.kubectl("delete", "-f", logging)


def config_address(mesh: Mesh, name: str) -> str:
    place = f"apiVersion=networking.istio.io/v1&kind=VirtualService&namespace=default&name={name}"
    return f"{mesh.environment['KAIKI_CONSOLE_URL']}/config/object?{place}"


def fault_status(mesh: Mesh) -> int:
    found = json.loads(mesh.kubectl("get", "virtualservice", "details-edited", "-o", "json"))
    return int(found["spec"]["http"][0]["fault"]["abort"]["httpStatus"])


def test_config_is_checked_tried_changed_and_returned_to(busy: Mesh, browser: Browser) -> None:
    made = json.dumps(DETAILS_ABORT).replace("details-abort", "details-edited").replace('"value": 50', '"value": 0')
    busy.kubectl("apply", "-f", "-", given=made)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    try:
        # The link of the command carries the user's Kubernetes identity; that of `login_path` does not.
        page.goto(busy.kaiki("dashboard", "--no-open").split()[-1])
        page.wait_for_url("**/graph*")
        page.goto(config_address(busy, "details-edited"))
        editor = page.get_by_role("textbox", name="YAML of the object")
        expect(editor).to_contain_text("httpStatus: 503")
        expect(page.get_by_text("Changes are made as kaiki-admin")).to_be_visible()
        in_force = page.get_by_role("region", name="In force at")
        expect(in_force).to_contain_text(re.compile(r"([1-9]\d*) of \1 of its proxies"), timeout=PATIENCE_MILLISECONDS)
        editor.press("Control+End")
        page.keyboard.type("    hostz: 1")
        expect(page.locator(".problem-Error")).to_contain_text("hostz", timeout=PATIENCE_MILLISECONDS)
        expect(page.get_by_role("button", name="Save")).to_be_disabled()
        page.get_by_role("button", name="Discard").click()
        editor.press("Control+End")
        page.keyboard.type("    timeout: 7s")
        expect(page.get_by_text("No problems found")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        page.get_by_role("button", name="Preview effect").click()
        expect(page.locator(".effect")).to_contain_text(
            "details.default.svc.cluster.local:9080", timeout=PATIENCE_MILLISECONDS
        )
        page.get_by_role("button", name="Save").click()
        wait_until(lambda: "7s" in busy.kubectl("get", "virtualservice", "details-edited", "-o", "json"), "saved", 30)

        expect(page.get_by_role("button", name="Save")).to_be_disabled()
        busy.kubectl("label", "virtualservice", "details-edited", "touched=meanwhile")
        editor.press("Control+End")
        page.keyboard.type("    name: mine")
        page.get_by_role("button", name="Save", exact=True).click()
        banner = page.get_by_role("alert")
        expect(banner.locator(".diff-removed")).to_contain_text(
            ["labels:", "touched: meanwhile"], timeout=PATIENCE_MILLISECONDS
        )
        expect(banner.locator(".diff-added")).to_contain_text("name: mine")
        page.get_by_role("button", name="Save mine over it").click()
        wait_until(lambda: "mine" in busy.kubectl("get", "virtualservice", "details-edited", "-o", "json"), "saved", 30)

        page.goto(f"{busy.environment['KAIKI_CONSOLE_URL']}/changes?name=details-edited")
        expect(page.locator("tbody tr")).to_have_count(4, timeout=PATIENCE_MILLISECONDS)
        page.locator("tbody .link").nth(2).click()
        expect(page.locator(".diff-added")).to_contain_text("timeout: 7s")
        page.get_by_role("button", name="Return to before").click()
        page.get_by_role("button", name="Yes, return to it").click()
        expect(page.locator("tbody tr")).to_have_count(5, timeout=PATIENCE_MILLISECONDS)
        assert "7s" not in busy.kubectl("get", "virtualservice", "details-edited", "-o", "json")
        assert fault_status(busy) == 503
    finally:
        busy.kubectl("delete", "virtualservice", "details-edited")
        context.close()


def test_a_wizard_writes_yaml_that_is_reviewed_and_created(busy: Mesh, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    try:
        page.goto(busy.kaiki("dashboard", "--no-open").split()[-1])
        page.wait_for_url("**/graph*")
        page.goto(f"{busy.environment['KAIKI_CONSOLE_URL']}/config/wizard?service=default/ratings&wizard=timeout")
        page.get_by_label("Timeout, seconds").fill("9")
        page.get_by_role("button", name="Review and create VirtualService").click()
        expect(page.get_by_text("No problems found")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        page.get_by_role("button", name="Create").click()
        page.wait_for_url("**/config/object?**name=ratings*")
        made = json.loads(busy.kubectl("get", "virtualservice", "ratings", "-o", "json"))
        assert made["spec"]["http"][0]["timeout"] == "9s"
    finally:
        busy.kubectl("delete", "virtualservice", "ratings", "--ignore-not-found")
        context.close()


SHIFTED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: own-name, namespace: default}
spec: {host: reviews, subsets: [{name: stable, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: old-routes, namespace: default, labels: {team: red}}
spec:
  hosts: [reviews]
  http:
  - timeout: 30s
    route:
    - {destination: {host: reviews, subset: stable}, weight: 75}
    - {destination: {host: reviews, subset: v2}, weight: 25}
"""


def test_a_wizard_changes_what_is_there(busy: Mesh, browser: Browser) -> None:
    busy.kubectl("apply", "-f", "-", given=SHIFTED)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()

    def routes() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(busy.kubectl("get", "virtualservices", "-o", "json"))["items"]
        return [item for item in found if item["spec"]["hosts"] == ["reviews"]]

    try:
        page.goto(busy.kaiki("dashboard", "--no-open").split()[-1])
        page.wait_for_url("**/graph*")
        console = busy.environment["KAIKI_CONSOLE_URL"]
        page.goto(f"{console}/config/wizard?service=default/reviews&wizard=shift")
        expect(page.get_by_text("VirtualService default/old-routes")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        expect(page.get_by_label("v1")).to_have_value("75", timeout=PATIENCE_MILLISECONDS)
        page.get_by_label("v1").fill("25")
        page.get_by_label("v3").fill("50")
        page.get_by_role("button", name="Review and replace DestinationRule").click()
        page.get_by_role("button", name="Save").click()
        wait_until(lambda: '"v3"' in busy.kubectl("get", "destinationrule", "own-name", "-o", "json"), "the new subset")
        # It goes on by itself: the VirtualService, as the form was answered.
        page.wait_for_url("**/config/object?**kind=VirtualService**name=old-routes*")
        expect(page.get_by_role("textbox", name="YAML of the object")).to_contain_text("weight: 50")
        page.get_by_role("button", name="Save").click()
        wait_until(lambda: len(routes()[0]["spec"]["http"][0]["route"]) == 3, "the new shares")
        (made,) = routes()
        (rule,) = made["spec"]["http"]
        assert [(one["destination"]["subset"], one["weight"]) for one in rule["route"]] == [
            ("stable", 25),
            ("v2", 25),
            ("v3", 50),
        ]
        assert (rule["timeout"], made["metadata"]["labels"]) == ("30s", {"team": "red"})
    finally:
        busy.kubectl("delete", "-f", "-", "--ignore-not-found", given=SHIFTED)
        context.close()


def test_a_wizard_says_who_may_call(busy: Mesh, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    caller = "cluster.local/ns/default/sa/bookinfo-productpage"
    try:
        page.goto(busy.kaiki("dashboard", "--no-open").split()[-1])
        page.wait_for_url("**/graph*")
        address = f"{busy.environment['KAIKI_CONSOLE_URL']}/config/wizard?service=default/details&wizard=access"
        page.goto(address)
        page.get_by_label("Callers (principals)").fill(caller)
        page.get_by_label("Methods").fill("GET")
        page.get_by_role("button", name="Review and create AuthorizationPolicy").click()
        expect(page.get_by_text("No problems found")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        page.get_by_role("button", name="Create").click()
        page.wait_for_url("**/config/object?**name=details*")
        made = json.loads(busy.kubectl("get", "authorizationpolicy", "details", "-o", "json"))["spec"]
        assert made["selector"]["matchLabels"] == {"app": "details"}
        assert made["rules"] == [
            {"from": [{"source": {"principals": [caller]}}], "to": [{"operation": {"methods": ["GET"]}}]}
        ]
        page.goto(address)
        expect(page.get_by_label("Callers (principals)")).to_have_value(caller, timeout=PATIENCE_MILLISECONDS)
        expect(page.get_by_role("button", name="Review and replace AuthorizationPolicy")).to_be_visible()
    finally:
        busy.kubectl("delete", "authorizationpolicy", "details", "--ignore-not-found")
        context.close()


def test_without_an_identity_the_console_only_shows(busy: Mesh, page: Page) -> None:
    page.goto(config_address(busy, "bookinfo"))
    expect(page.get_by_text("You can look, but not change")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()


def test_the_overview_and_the_lists(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/overview")
    card = page.locator(".namespace-card").filter(has=page.get_by_role("link", name="default", exact=True))
    expect(card).to_contain_text("6 of 6 workloads")
    expect(card.locator(".numbers dd").first).to_contain_text("/s")
    page.get_by_role("navigation", name="Lists").get_by_role("link", name="Workloads").click()
    page.get_by_role("searchbox", name="Filter").fill("reviews")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Name", exact=True).press("Enter")
    expect(page.locator("tbody tr").first).to_contain_text("reviews-v1")
    assert "q=reviews" in page.url and "sort=name" in page.url
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("link", name="reviews-v2").click()
    page.wait_for_url("**/workloads/default/reviews-v2")


def test_an_app_from_close_by(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/apps/default/productpage")
    expect(page.locator(".direction .plot canvas").first).to_be_visible()
    heat = page.get_by_role("img", name="Latency heat map").first
    heat.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".heat-told").first).to_contain_text(" ms")
    page.get_by_role("link", name="Pods").click()
    expect(page.get_by_role("region", name="Proxies")).to_contain_text("in step")
    expect(page.get_by_role("region", name="Proxies")).to_contain_text("ends in 23 h")
    expect(page.get_by_role("region", name="Proxies")).to_contain_text("1.40.0")
    page.get_by_role("navigation", name="productpage").get_by_role("link", name="Config").click()
    found = page.get_by_role("region", name="Objects that touch it")
    expect(found).to_contain_text("sends traffic to it")
    expect(found.get_by_role("link", name="bookinfo-gateway")).to_be_visible()


def test_logs_are_followed_side_by_side(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/workloads/default/details-v1?tab=logs&q=details")
    expect(page.get_by_role("log", name="istio-proxy")).to_contain_text("The sidecar logs requests when")
    busy.kubectl("apply", "-f", "-", given=json.dumps(ACCESS_LOG))
    try:
        expect(page.locator(".log-live")).to_have_count(2)
        lines = page.get_by_role("log", name="istio-proxy").locator(".log-line")
        expect(lines.filter(has_text="GET /details").first).to_be_visible()
        expect(lines.locator("mark").first).to_have_text("details")
        page.wait_for_function(
            "seen => document.querySelectorAll('.log-line').length > seen + 3", arg=page.locator(".log-line").count()
        )
        page.get_by_role("button", name="Follow").click()
        expect(page.locator(".log-paused")).to_have_count(2)
        assert "follow=false" in page.url
    finally:
        busy.kubectl("delete", "telemetry", "access-log", "-n", "default")


def test_traces_are_turned_on_as_the_page_says(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/apps/default/reviews?tab=traces")
    told = page.locator("pre.source").inner_text()
    busy.kubectl("apply", "-f", "-", given=told.split("EOF'\n")[1].removesuffix("EOF"))
    try:
        page.locator("tbody .when").first.click()
        page.wait_for_url("**/traces/*")
        spans = page.locator(".span-row")
        expect(spans.filter(has_text="productpage").first).to_be_visible()
        spans.first.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".span-details")).to_contain_text("http.status_code")
    finally:
        busy.kubectl("delete", "telemetry", "mesh-default", "-n", "istio-system")


def test_the_mesh_page_tells_of_every_part(busy: Mesh, page: Page) -> None:
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/mesh")
    for part, words in (
        ("Control plane", "1 of 1 answer"),
        ("Gateways", "istio-ingressgateway"),
        ("Metrics store", "Series"),
        ("Trace store", "tracing.istio-system"),
    ):
        expect(page.get_by_role("region", name=part, exact=True)).to_contain_text(words)
    proxies = page.get_by_role("region", name="Proxies")
    expect(proxies.locator("tbody tr")).to_have_count(7)
    expect(proxies.locator("tbody tr").filter(has_text="in step")).to_have_count(7)


def test_what_a_proxy_has_in_force(busy: Mesh, page: Page) -> None:
    (pod,) = (one["metadata"]["name"] for one in busy.pods(selector="app=productpage"))
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + "/mesh")
    page.get_by_role("link", name=f"Configuration: {pod}").click()
    expect(page.get_by_role("heading", name=pod)).to_be_visible()
    page.get_by_role("link", name=re.compile("^Clusters")).click()
    page.get_by_role("searchbox").fill("reviews")
    row = page.get_by_role("row").filter(has_text="outbound|9080||reviews.default.svc.cluster.local")
    expect(row).to_contain_text("3 of 3")
    expect(row).to_contain_text("In force")
    row.get_by_role("link", name="3 of 3").click()
    expect(page.get_by_role("link", name="Workload default/reviews-v2")).to_be_visible()
    page.get_by_role("link", name="Service default/reviews").first.click()
    page.wait_for_url("**/services/default/reviews")

    page.goto(f"{busy.environment['KAIKI_CONSOLE_URL']}/workloads/default/productpage-v1?tab=proxy&part=secrets")
    expect(page.get_by_role("row").filter(has_text="spiffe://cluster.local/ns/default/sa/")).to_contain_text(
        "O=cluster"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as JSON").click()
    text = download.value.path().read_text()
    assert "outbound|9080||reviews" in text and "private_key" not in text


TOLERANT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "kiali", "namespace": "istio-system"},
    "data": {
        "config.yaml": "health_config: {rate: [{namespace: default, kind: workload, name: productpage-.*,"
        " tolerance: [{code: 5XX, degraded: 90, failure: 95, protocol: http, direction: .*}]}]}"
    },
}


def test_why_it_is_red_and_with_other_tolerances_green(busy: Mesh, page: Page) -> None:
    address = f"{busy.environment['KAIKI_CONSOLE_URL']}/graph?namespaces=default&duration=30&node={PRODUCTPAGE}"
    busy.kubectl("apply", "-f", "-", given=json.dumps(DETAILS_ABORT))
    try:
        page.goto(address)
        page.get_by_role("button", name="productpage v1: failing: why?").click()
        dialog = page.get_by_role("dialog")
        row = dialog.get_by_role("row").filter(has_text="Server errors (5xx) outbound")
        expect(row).to_contain_text("Failing")
        expect(row).to_contain_text("from 10%")
        expect(row).to_contain_text("default")
        expect(dialog).to_contain_text("Errors by code")
        expect(dialog.get_by_role("link", name="All of them in the request log")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

        busy.kubectl("apply", "-f", "-", given=json.dumps(TOLERANT))
        page.goto(address)
        page.get_by_role("button", name="productpage v1: healthy: why?").click()
        row = page.get_by_role("dialog").get_by_role("row").filter(has_text="Codes 5XX outbound")
        expect(row).to_contain_text("configuration")
        expect(row).to_contain_text("from 95%")
    finally:
        busy.kubectl("delete", "configmap", "-n", "istio-system", "kiali", "--ignore-not-found")
        busy.kubectl("delete", "virtualservice", "details-abort")


def test_korean(busy: Mesh, browser: Browser) -> None:
    context = browser.new_context(locale="ko-KR")
    page = context.new_page()
    page.goto(busy.environment["KAIKI_CONSOLE_URL"] + login_path(busy))
    page.wait_for_selector("[data-node]")
    assert page.locator("html").get_attribute("lang") == "ko"
    expect(page.get_by_role("button", name="실시간")).to_be_visible()
    context.close()


@pytest.mark.parametrize(("locale", "scheme"), [("en-US", "light"), ("ko-KR", "dark")])
def test_axe_finds_nothing_wrong_with_any_page(
    busy: Mesh, browser: Browser, locale: str, scheme: Literal["light", "dark"]
) -> None:
    console = busy.environment["KAIKI_CONSOLE_URL"]
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale=locale, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    page.goto(console + "/login")
    wrong = [f"/login: {told}" for told in axe_violations(page)]
    page.goto(console + login_path(busy))
    page.wait_for_url("**/graph*")
    for address, drawn in LOOKED_AT:
        page.goto(console + address)
        page.locator(drawn).first.wait_for()
        page.locator("main h1").first.wait_for()
        wrong += [f"{address}: {told}" for told in axe_violations(page)]
    context.close()
    assert not wrong, "\n".join(wrong)


def test_nothing_answers_strangers(busy: Mesh, browser: Browser) -> None:
    console = busy.environment["KAIKI_CONSOLE_URL"]
    for path in ("/api/graph", "/api/workloads", "/api/config", "/api/openapi.json", "/graph", "/assets/index.js"):
        assert busy.get(console + path)[0] == 401, path
    assert busy.get(console + "/api/graph", {"Authorization": "Bearer wrong"})[0] == 401
    bearer = {"Authorization": f"Bearer {busy.environment['KAIKI_CONSOLE_TOKEN']}"}
    assert busy.get(console + "/api/graph", bearer)[0] == 200
    assert busy.get(console + "/api/graph", bearer | {"Host": "rebound.example"})[0] == 421
    context = browser.new_context()
    page = context.new_page()
    page.goto(console + "/graph")
    assert page.url == console + "/login?to=%2Fgraph"
    context.close()


def test_a_login_link_works_once(busy: Mesh, browser: Browser) -> None:
    link = busy.kaiki("dashboard", "--no-open").split()[-1]
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.goto(link)
    page.wait_for_url("**/graph*")
    cookies = {cookie["name"]: cookie for cookie in first.cookies()}
    assert cookies["kaiki_session"]["httpOnly"]
    assert cookies["kaiki_session"]["sameSite"] == "Strict"
    page = second.new_page()
    answer = page.goto(link)
    assert answer is not None
    assert answer.status == 401
    assert not second.cookies()
    first.close()
    second.close()
