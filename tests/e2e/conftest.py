"""Meshes for end-to-end tests. One is shared by the tests of a module; it is stopped whatever happens."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mesh import Mesh, chromium
from playwright.sync_api import Browser, expect, sync_playwright

BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MILLISECONDS = 30_000


@pytest.fixture(scope="session", autouse=True)
def _runtime_allowed() -> None:
    """Skip with the reason where the kernel refuses what the runtime needs."""
    done = subprocess.run([sys.executable, "-m", "kaiki", "probe"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine cannot run a mesh:\n{done.stdout}")


def new_home() -> Path:
    """A short path: unix sockets below it may have 107 bytes at most."""
    return Path(tempfile.mkdtemp(prefix="kaiki-"))


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """A mesh with everything installed and no workload of the user's."""
    mesh = Mesh(new_home())
    try:
        mesh.up()
        yield mesh
    finally:
        mesh.down()


@pytest.fixture(scope="module")
def bookinfo(mesh: Mesh) -> Mesh:
    """A mesh with Bookinfo behind its gateway."""
    mesh.deploy_bookinfo()
    return mesh


@pytest.fixture
def home() -> Iterator[Path]:
    """A home for a test that starts its mesh itself."""
    path = new_home()
    yield path
    Mesh(path).down()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser whose expectations are patient: a small machine draws late at times."""
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        yield browser
        browser.close()
