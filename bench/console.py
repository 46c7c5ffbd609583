"""How soon a large graph can be used: `python bench/console.py [--nodes 1000] [--rounds 5]`.

Headless Chromium opens the graph of a made-up mesh. A graph counts as usable when it is drawn and the browser answers a
wheel of the mouse with a frame. Needs the built UI, Chromium and the development dependencies.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import IO

from playwright.sync_api import Browser, Page, sync_playwright

FAKE_MESH = Path(__file__).parents[1] / "tests" / "console" / "fake_mesh.py"
TOKEN = "bench"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
FRAME = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no Chromium on this machine")
    command = [sys.executable, str(FAKE_MESH), "--port", "0", "--token", TOKEN, "--many", str(arguments.nodes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as fake, sync_playwright() as playwright:
        try:
            url = read_url(fake.stdout)
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            rounds = [measure(browser, url) for _ in range(arguments.rounds)]
            browser.close()
        finally:
            fake.terminate()
    print(f"{arguments.nodes} nodes, median of {arguments.rounds}\n\n| step | ms |\n|---|---:|")
    for step in rounds[0]:
        print(f"| {step} | {statistics.median(row[step] for row in rounds):.0f} |")


def read_url(output: IO[bytes] | None) -> str:
    assert output is not None
    return str(json.loads(output.readline())["url"])


def measure(browser: Browser, url: str) -> dict[str, float]:
    """One visit with an empty cache, in milliseconds from the start of the navigation."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(url + login_path(url))
    page.wait_for_url("**/graph*")
    page.goto(url + "/graph", wait_until="commit")
    page.wait_for_selector(".canvas .edge", state="attached", timeout=60_000)
    drawn = float(page.evaluate(FRAME))
    row = {"drawn": drawn, "one zoom step": zoom(page)}
    row["usable"] = row["drawn"] + row["one zoom step"]
    row["elements"] = float(page.evaluate("document.querySelectorAll('*').length"))
    context.close()
    return row


def zoom(page: Page) -> float:
    page.mouse.move(700, 450)
    started = time.perf_counter()
    page.mouse.wheel(0, -120)
    page.evaluate(FRAME)
    return (time.perf_counter() - started) * 1000


def login_path(url: str) -> str:
    request = urllib.request.Request(
        url + "/api/login-links", method="POST", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["path"])


if __name__ == "__main__":
    main()
