"""How soon the console can be used, in headless Chromium: `python -m bench console`.

    demo (a real mesh with Bookinfo)                ┐
    store with a made-up mesh's series ◀── console ◀┴── Chromium, a new profile for each visit

A graph counts as drawn when its edges are, and as usable when the browser then answers a wheel of the mouse with a
frame. Times are from the start of the navigation; tasks are those of the main thread that the browser calls long
(over 50 ms). A refresh is what the page does each three seconds while nothing changes: traffic goes on evenly, the
positions of all cards are compared. Needs the built console, Chromium and the development dependencies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from importlib import resources

from playwright.sync_api import Browser, Page, sync_playwright

from bench.demo import EDGES, edges, when
from bench.graph_api import serving
from bench.mesh import mesh_from
from bench.table import Figure, print_figures
from kaiki.console.events import STEP_SECONDS
from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings

TOKEN = "bench"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
FRAME = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
WATCH_TASKS = """window.longest = 0;
new PerformanceObserver(list => list.getEntries().forEach(task => { longest = Math.max(longest, task.duration); }))
  .observe({ type: "longtask", buffered: true });"""
COUNT_REFRESHES = """window.told = 0;
new MutationObserver(() => { told += 1; })
  .observe(document.querySelector("footer.status"), { subtree: true, characterData: true, childList: true });"""
PLACES = (
    "[...document.querySelectorAll('[data-node]')].map(card => [card.dataset.node, card.getAttribute('transform')])"
)
ROUNDS, TICKS = 5, 4
SETTLE_SECONDS = 3.0


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
        return
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        rows = [
            Figure("shell JavaScript, gzip", shell_kilobytes(), "KB", 250),
            *of_demo(browser, given.rounds),
            *of_many(browser, given.rounds),
            *of_grouped(browser, given.rounds),
        ]
        browser.close()
    print_figures(f"console in Chromium, median of {given.rounds}", rows)


async def serve(metrics_url: str) -> None:
    """A console of a store, until it is killed; prints its address."""
    settings = ConsoleSettings(("127.0.0.1", 0), metrics_url, token=TOKEN, metrics_timeout_seconds=60)
    async with running(settings) as (host, port):
        print(f"http://{host}:{port}", flush=True)
        await asyncio.Event().wait()


def shell_kilobytes() -> float:
    """What the first page brings in JavaScript before anything is drawn."""
    folder = resources.files("kaiki.console").joinpath("static")
    paths = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', folder.joinpath("index.html").read_text())
    return sum(len(gzip.compress(folder.joinpath(path).read_bytes())) for path in paths) / 1000


def of_demo(browser: Browser, rounds: int) -> list[Figure]:
    """The first graph of a demo that runs."""
    with mesh_from("demo") as mesh:
        when(mesh, lambda: edges(mesh) >= EDGES, 0.2)
        token = (mesh.home / "pki" / "console.token").read_text().strip()
        visits = [visit(browser, mesh.url("console"), token, len(EDGES)) for _ in range(rounds)]
    return [Figure("demo: first useful graph", middle(visits, "drawn") / 1000, "s", 1.0)]


def of_many(browser: Browser, rounds: int) -> list[Figure]:
    """A thousand nodes, each drawn."""
    with made_up(1000) as url:
        visits = [visit(browser, url, TOKEN, 10) for _ in range(rounds)]
        still = refresh(browser, url)
    name = f"{visits[0]['nodes']:.0f} nodes, {visits[0]['edges']:.0f} edges"
    return [
        Figure(f"{name}: usable", middle(visits, "usable") / 1000, "s", 2.0),
        Figure(f"{name}: longest task", middle(visits, "longest"), "ms", 200),
        Figure(f"{name}: refresh with nothing changed, main thread", still["busy"], "ms", 20),
        Figure(f"{name}: cards that moved in {TICKS} refreshes", still["moved"], ""),
    ]


def of_grouped(browser: Browser, rounds: int) -> list[Figure]:
    """More than anybody can read: grouped by namespace."""
    with made_up(5000) as url:
        visits = [visit(browser, url, TOKEN, 10) for _ in range(rounds)]
    name = f"5000 workloads as {visits[0]['nodes']:.0f} nodes, {visits[0]['edges']:.0f} edges"
    return [
        Figure(f"{name}: usable", middle(visits, "usable") / 1000, "s", 3.0),
        Figure(f"{name}: longest task", middle(visits, "longest"), "ms"),
    ]


@contextlib.contextmanager
def made_up(workloads: int) -> Iterator[str]:
    """The address of a console of a made-up mesh that has answered once."""
    with serving(workloads, "--live") as (port, _):
        command = [sys.executable, "-m", "bench.console", "--serve", f"http://127.0.0.1:{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as console:
            try:
                assert console.stdout is not None
                url = console.stdout.readline().decode().strip()
                ask(url, TOKEN, "/api/graph?duration=60s")
                yield url
            finally:
                console.kill()


def ask(url: str, token: str, path: str, method: str = "GET") -> dict[str, object]:
    """An answer of the console."""
    request = urllib.request.Request(url + path, method=method, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


def opened(browser: Browser, url: str, token: str) -> Page:
    """A page of a new profile that has just begun to open the graph."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.request.get(url + str(ask(url, token, "/api/login-links", "POST")["path"]))
    page = context.new_page()
    page.add_init_script(WATCH_TASKS)
    page.goto(url + "/graph", wait_until="commit")
    return page


def visit(browser: Browser, url: str, token: str, most: int) -> dict[str, float]:
    """One visit, in milliseconds."""
    page = opened(browser, url, token)
    page.locator("[data-edge]").nth(most - 1).wait_for(state="attached", timeout=60_000)
    row = {"drawn": float(page.evaluate(FRAME))}
    row["usable"] = row["drawn"] + zoom(page)
    page.wait_for_timeout(SETTLE_SECONDS * 1000)
    row["longest"] = float(page.evaluate("longest"))
    nodes, between = re.findall(r"\d+", page.locator("footer.status span").first.inner_text())
    row |= {"nodes": float(nodes), "edges": float(between)}
    page.context.close()
    return row


def zoom(page: Page) -> float:
    """Milliseconds from a turn of the wheel to its frame."""
    page.mouse.move(700, 450)
    started = time.perf_counter()
    page.mouse.wheel(0, -120)
    page.evaluate(FRAME)
    return (time.perf_counter() - started) * 1000


def refresh(browser: Browser, url: str) -> dict[str, float]:
    """What one refresh costs the main thread, and how many cards are elsewhere after several."""
    page = opened(browser, url, TOKEN)
    page.wait_for_selector("[data-edge]", state="attached", timeout=60_000)
    page.wait_for_timeout(2 * SETTLE_SECONDS * 1000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before, cards = task_seconds(session.send("Performance.getMetrics")), places(page)
    page.evaluate(COUNT_REFRESHES)
    page.wait_for_timeout(TICKS * STEP_SECONDS * 1000)
    told = max(int(page.evaluate("told")), 1)
    after = task_seconds(session.send("Performance.getMetrics"))
    moved = sum(cards[name] != place for name, place in places(page).items())
    page.context.close()
    return {"busy": (after - before) * 1000 / told, "moved": float(moved)}


def task_seconds(answer: Mapping[str, list[dict[str, float | str]]]) -> float:
    """How long the main thread has been busy."""
    return next(float(metric["value"]) for metric in answer["metrics"] if metric["name"] == "TaskDuration")


def places(page: Page) -> dict[str, str]:
    """Where each card is drawn."""
    found: list[tuple[str, str]] = page.evaluate(PLACES)
    return dict(found)


def middle(visits: list[dict[str, float]], name: str) -> float:
    """The median of a row of all visits."""
    return statistics.median(row[name] for row in visits)


if __name__ == "__main__":
    main()
