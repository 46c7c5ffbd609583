"""What the console says while a part of the mesh is away (what is missing, what is old), and of an empty mesh."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from load import SteadyLoad
from mesh import REPOSITORY, Mesh, wait_until
from playwright.sync_api import Browser, BrowserContext, Page, expect
from test_crashes import find, kill

pytestmark = pytest.mark.e2e

PATIENCE_MILLISECONDS = 30_000
LOGGING_AND_TRACING = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh-default, namespace: istio-system}
spec:
  accessLogging: [{providers: [{name: envoy}]}]
  tracing: [{providers: [{name: otel-tracing}], randomSamplingPercentage: 100}]
"""
WORKLOAD = "/workloads/default/reviews-v2"
OBJECT = "/config/object?apiVersion=networking.istio.io/v1&kind=VirtualService&namespace=default&name=bookinfo"
EXPLAIN = "/explain?source=default/productpage-v1&url=http://reviews:9080/reviews/1"
WIZARD = "/config/wizard?service=default/ratings&wizard=timeout"
NOT_OBJECTS = "workloads, services, pods and configuration are as they were then"
CONFIG_COUNT = re.compile(r"Config [1-9]")

# By part: what each page says when it is opened while the part is away.
SAID: dict[str, dict[str, str | re.Pattern[str]]] = {
    "prometheus": {
        "/graph?duration=300": "The metrics cannot be read right now",
        "/overview": "The metrics cannot be read: traffic is missing",
        "/workloads": "Not measured",
        WORKLOAD: "Traffic appears here as soon as the metrics can be read again",
        f"{WORKLOAD}?tab=logs": "reviews serves",
        f"{WORKLOAD}?tab=traces": "The traces cannot be read right now",
        "/apps/default/reviews/versions": "The metrics cannot be read right now",
        "/requests": "found in the logs of 7 pods",
        "/mesh": re.compile(r"Metrics store.*Does not answer.*Trace store.*Does not answer", re.DOTALL),
        EXPLAIN: "Where it goes",
    },
    "istiod": {
        "/graph?duration=300": "nodes",
        "/config": "changes are stored but reach no proxy until it is back",
        OBJECT: "Not known while the control plane does not answer",
        f"{WORKLOAD}?tab=proxy": "The control plane does not tell this right now",
        f"{WORKLOAD}?tab=pods": "The control plane does not answer",
        "/mesh": re.compile(r"0 of 1 answer.*7 not known", re.DOTALL),
        EXPLAIN: "Where it goes",
    },
    "apiserver": {
        "/graph?duration=300": NOT_OBJECTS,
        "/overview": NOT_OBJECTS,
        "/services": NOT_OBJECTS,
        f"{WORKLOAD}?tab=config": CONFIG_COUNT,
        f"{WORKLOAD}?tab=logs": "The Kubernetes API does not answer",
        "/requests": "The logs of 7 pods cannot be read right now",
        "/config": re.compile(rf"{NOT_OBJECTS}.*mesh-default", re.DOTALL),
        OBJECT: "The Kubernetes API does not answer right now",
        WIZARD: NOT_OBJECTS,
        "/changes": "The Kubernetes API does not answer right now",
        "/mesh": NOT_OBJECTS,
    },
}
# What is open all the while: what is said on it while the part is away.
KEPT: dict[str, dict[str, str]] = {
    "prometheus": {"/graph?duration=300": "What you see is from", f"{WORKLOAD}?tab=traces": "What you see is from"},
    "istiod": {"/config": "unknown", f"{WORKLOAD}?tab=proxy": "What you see is from"},
    "apiserver": {"/graph?duration=300": NOT_OBJECTS, OBJECT: NOT_OBJECTS, f"{WORKLOAD}?tab=logs": NOT_OBJECTS},
    "kiali": {
        "/graph?duration=300": "What you see is from",
        "/overview": "What you see is from",
        OBJECT: "The console cannot be reached right now",
        f"{WORKLOAD}?tab=logs": "What you see is from",
    },
}
TROUBLE = re.compile(
    "right now|does not answer|not answered|What you see is from|unknown|Reconnecting|Interrupted|cannot be"
)


@pytest.fixture(scope="module")
def context(mesh: Mesh, browser: Browser) -> Iterator[BrowserContext]:
    """A browser that came in by the link of `kaiki dashboard`."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    page.goto(mesh.kaiki("dashboard", "--no-open").split()[-1])
    page.wait_for_url("**/graph*")
    page.close()
    yield context
    context.close()


@pytest.fixture(scope="module")
def alive(mesh: Mesh) -> Iterator[Mesh]:
    """Bookinfo with traffic that is logged and traced."""
    mesh.kubectl("apply", "-f", "-", given=LOGGING_AND_TRACING)
    mesh.deploy_bookinfo()
    with SteadyLoad(f"{mesh.gateway}/productpage", 5):
        wait_until(lambda: len(mesh.graph("300s")["edges"]) >= 7, "the graph has Bookinfo's edges", 30)
        yield mesh


def address(mesh: Mesh, path: str) -> str:
    return mesh.environment["KAIKI_CONSOLE_URL"] + path


@contextmanager
def opened(context: BrowserContext, url: str) -> Iterator[Page]:
    """A page of a browser of its own, so that pages do not wait for each other's connections."""
    browser = context.browser
    assert browser is not None
    own = browser.new_context(storage_state=context.storage_state(), viewport=None, locale="en-US")
    page = own.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(url)
        yield page
    finally:
        own.close()
    assert not errors


def run(mesh: Mesh, commands: list[str]) -> str:
    """What somebody types in a terminal that knows nothing of the mesh but where its home is."""
    environment = {name: value for name, value in mesh.environment.items() if not name.startswith(("KAIKI_", "KUBE"))}
    environment["KAIKI_HOME"] = str(mesh.home)
    script = "set -e\n" + "\n".join(commands)
    done = subprocess.run(
        ["bash", "-c", script], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_first_visit_says_what_to_do_and_it_works(mesh: Mesh, context: BrowserContext) -> None:
    page = context.new_page()
    steps = {}
    for path in ("/graph", "/overview", "/workloads", "/services"):
        page.goto(address(mesh, path))
        expect(page.get_by_role("heading", name="Nothing is in the mesh yet")).to_be_visible()
        steps[path] = page.locator(".empty-mesh .command code").all_inner_texts()
    assert len(set(map(tuple, steps.values()))) == 1, "every page says the same"
    page.locator(".rail-link:has(span[lang=ko])").click()
    expect(page.get_by_role("heading", name="아직 메시에 아무것도 없습니다")).to_be_visible()
    assert page.locator(".empty-mesh .command code").all_inner_texts() == steps["/services"]
    page.locator(".rail-link:has(span[lang=en])").click()
    page.goto(address(mesh, "/graph?duration=300"))
    expect(page.get_by_role("heading", name="Nothing is in the mesh yet")).to_be_visible()
    *commands, own = steps["/graph"]
    assert own.startswith("kaiki run web")
    said = run(mesh, commands)
    assert "HTTP/1.1 200 OK" in said and "istio-ingressgateway" in said
    expect(page.locator('[data-node="workload:default/productpage-v1"]')).to_be_visible()
    page.close()


def test_without_traffic_the_way_to_some_is_shown(alive: Mesh, context: BrowserContext) -> None:
    """A namespace that nothing was sent to, and workloads that have a sidecar."""
    with opened(context, address(alive, "/graph?namespaces=kube-system")) as page:
        expect(page.get_by_role("heading", name="No traffic yet")).to_be_visible()
        commands = page.locator(".first-visit .command code").all_inner_texts()
        assert len(commands) == 3, "nothing is left to inject"
        assert "200 OK" in run(alive, commands)


def scale(mesh: Mesh, name: str, replicas: int) -> None:
    mesh.kubectl("-n", "istio-system", "scale", "deployment", name, f"--replicas={replicas}")


@contextmanager
def without(mesh: Mesh, part: str) -> Iterator[None]:
    """The part is away inside, and back afterwards."""
    scale(mesh, part, 0)
    pods = lambda: [pod["metadata"]["name"] for pod in mesh.pods("istio-system")]  # noqa: E731
    wait_until(lambda: not any(name.startswith(part) for name in pods()), f"{part} has gone")
    try:
        yield
    finally:
        scale(mesh, part, 1)
        mesh.kubectl("-n", "istio-system", "wait", "--for=condition=Available", f"deployment/{part}", "--timeout=60s")


@contextmanager
def without_api(mesh: Mesh) -> Iterator[None]:
    """The API server takes connections and says nothing, which is worse than none; then it is killed."""
    server = find(mesh, lambda process: "kaiki apiserver" in process.command)
    os.kill(server.number, signal.SIGSTOP)
    try:
        yield
    finally:
        kill(server)
        wait_until(lambda: "productpage" in mesh.kubectl("get", "deployments", check=False), "the API is back", 60)


def expect_honest(page: Page, said: str | re.Pattern[str]) -> None:
    """It says so, waits for nothing, and is not empty."""
    main = page.locator("main")
    expect(main).to_contain_text(said)
    expect(main.get_by_text("Loading…", exact=True)).to_have_count(0)


def check(mesh: Mesh, context: BrowserContext, part: str, away: Callable[[], object]) -> None:
    kept = [(opened(context, address(mesh, path)), said) for path, said in KEPT[part].items()]
    pages = [(holder.__enter__(), said) for holder, said in kept]
    try:
        for page, _ in pages:
            expect(page.locator("main")).not_to_contain_text("Loading…")
            expect(page.locator("main")).not_to_contain_text(TROUBLE)
            page.evaluate("window.notReloaded = true")
        with away():  # type: ignore[attr-defined]
            for page, said in pages:
                expect_honest(page, said)
            for path, told in SAID.get(part, {}).items():
                with opened(context, address(mesh, path)) as fresh:
                    expect_honest(fresh, told)
        for page, _ in pages:
            expect(page.locator("main")).not_to_contain_text(TROUBLE)
            assert page.evaluate("window.notReloaded") is True
    finally:
        for holder, _ in kept:
            holder.__exit__(None, None, None)


@pytest.mark.parametrize("part", ["prometheus", "istiod", "kiali"])
def test_pages_are_honest_without(alive: Mesh, context: BrowserContext, part: str) -> None:
    check(alive, context, part, lambda: without(alive, part))


def test_pages_are_honest_without_the_api_server(alive: Mesh, context: BrowserContext) -> None:
    check(alive, context, "apiserver", lambda: without_api(alive))
