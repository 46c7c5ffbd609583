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

from mesh import Mesh


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
