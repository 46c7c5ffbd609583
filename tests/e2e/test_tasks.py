"""Istio's traffic management tasks, typed word for word: tasks/*.commands (their form: tasks/README.md)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import new_home
from mesh import REPOSITORY, Mesh
from outside import Outside
from task_script import type_all

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SCRIPTS = sorted((Path(__file__).parent / "tasks").glob("*.commands"))
LEFT_BEHIND = "deployments,services,gateways.networking.istio.io,virtualservices,destinationrules,serviceentries"
ISTIOCTL = '() {  kaiki "$@"\n}'
IMAGES = """
- image: "curlimages/curl:*"
  command: [curl]
  env: {{CURL_CA_BUNDLE: "{roots}"}}
  programs:
    nc: ["{{python}}", -S, -E, "{{samples}}/curl/nc.py"]
    time: ["{{python}}", -S, -E, "{{samples}}/curl/time.py"]
"""


@dataclass(frozen=True)
class Place:
    """A mesh, and what of the outside it can reach (None: the ports of a web server are not to be had here)."""

    mesh: Mesh
    outside: Outside | None


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A mesh with the profile that the pages ask for, the default namespace injected, and sites outside."""
    mesh = Mesh(new_home())
    folder = Path(tempfile.mkdtemp(prefix="kaiki-outside-"))
    folder.chmod(0o755)
    outside: Outside | None = None
    try:
        try:
            outside = Outside(folder)
        except PermissionError:
            pass
        else:
            mesh.home.mkdir(exist_ok=True)
            (mesh.home / "hosts").write_text(outside.hosts)
            (mesh.home / "images.yaml").write_text(IMAGES.format(roots=outside.roots))
        mesh.up()
        mesh.kaiki("install", "--set", "profile=demo", "--skip-confirmation")
        mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
        yield Place(mesh, outside)
    finally:
        mesh.down()
        if outside is not None:
            outside.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a reader types: a folder with `samples` in it, as an unpacked release has."""
    path = Path(tempfile.mkdtemp(prefix="kaiki-task-"))
    (path / "samples").symlink_to(REPOSITORY / "samples")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_task_word_for_word(script: Path, place: Place, folder: Path) -> None:
    mesh = place.mesh
    if "egress" in script.stem and place.outside is None:
        pytest.skip("the ports 80 and 443 of a loopback address need a right this user has not")
    environment = mesh.environment | {"KUBECONFIG": str(mesh.home / "kubeconfig"), "BASH_FUNC_istioctl%%": ISTIOCTL}
    if place.outside is not None:
        environment["OUTSIDE_ROOTS"] = str(place.outside.roots)
    try:
        type_all(script, environment, folder)
    except BaseException:
        mesh.kubectl("delete", LEFT_BEHIND, "--all", "--wait=false", check=False)
        raise
