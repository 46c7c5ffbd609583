"""Istio's traffic management tasks, typed word for word: tasks/*.commands (their form: tasks/README.md)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import new_home
from mesh import REPOSITORY, Mesh
from task_script import type_all

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SCRIPTS = sorted((Path(__file__).parent / "tasks").glob("*.commands"))
LEFT_BEHIND = "deployments,services,gateways.networking.istio.io,virtualservices,destinationrules,httproutes,gtw"
ISTIOCTL = '() {  kaiki "$@"\n}'


@pytest.fixture(scope="module")
def tasks() -> Iterator[Mesh]:
    """A mesh with the profile that the pages ask for, and the default namespace injected."""
    mesh = Mesh(new_home())
    try:
        mesh.up()
        mesh.kaiki("install", "--set", "profile=demo", "--skip-confirmation")
        mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
        yield mesh
    finally:
        mesh.down()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a reader types: a folder with `samples` in it, as an unpacked release has."""
    path = Path(tempfile.mkdtemp(prefix="kaiki-task-"))
    (path / "samples").symlink_to(REPOSITORY / "samples")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_task_word_for_word(script: Path, tasks: Mesh, folder: Path) -> None:
    environment = {name: value for name, value in tasks.environment.items() if name != "KUBECONFIG"}
    kubeconfig = {"KUBECONFIG": str(tasks.home / "kubeconfig")}
    try:
        type_all(script, environment | kubeconfig | {"BASH_FUNC_istioctl%%": ISTIOCTL}, folder)
    except BaseException:
        tasks.kubectl("delete", LEFT_BEHIND, "--all", "--wait=false", check=False)
        raise
