"""An image from a registry on the loopback, by the real podman: asked for, pulled, written to a file, unpacked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from image_archive import make_layer, write_oci_layout

from kaiki.runtime import engines

PROGRAM = Path("usr/bin/hello")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry(BaseHTTPRequestHandler):
    """The pull half of the distribution API over an OCI layout: one repository, one tag at a time."""

    layout: Path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        kind, _, name = self.path.rpartition("/")
        if kind.endswith("/manifests"):
            [entry] = json.loads((self.layout / "index.json").read_text())["manifests"]
            self._answer(self._blob(entry["digest"] if ":" not in name else name), MANIFEST)
        elif kind.endswith("/blobs"):
            self._answer(self._blob(name), "application/octet-stream")
        else:
            self._answer(b"{}", "application/json")

    def _blob(self, digest: str) -> bytes:
        return (self.layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Its address; what it serves is the OCI layout `tmp_path/layout`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Registry,), {"layout": tmp_path / "layout"}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def podman(tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Podman with a store of its own, that may speak to the registry without TLS."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed: apt-get install podman")
    settings = tmp_path / "registries.conf"
    settings.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    policy = tmp_path / "home" / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    storage = tmp_path / "storage.conf"
    run = tempfile.mkdtemp(prefix="kaiki-podman-")
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/store"\nrunroot = "{run}"\n')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", run)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(settings))
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setattr(engines, "ENGINES", ("podman",))
    yield
    subprocess.run(["podman", "rmi", "--all", "--force"], capture_output=True, check=False)
    shutil.rmtree(run, ignore_errors=True)


def offer(folder: Path, name: str, text: bytes) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    files = {"usr": None, "usr/bin": None, str(PROGRAM): text}
    write_oci_layout(folder, name, {"Cmd": [f"/{PROGRAM}"]}, make_layer(files))


@pytest.mark.usefixtures("podman")
async def test_an_image_of_a_registry(tmp_path: Path, registry: str) -> None:
    image, archive = f"{registry}/team/hello:1", tmp_path / "hello.tar"
    offer(tmp_path / "layout", "1", b"first")
    request = {"image": image, "path": str(archive), "policy": "IfNotPresent", "known": ""}
    answer = await engines.fetch(request)
    assert "failure" not in answer, answer
    unpack(archive, image, tmp_path / "one")
    assert (tmp_path / "one" / "root" / PROGRAM).read_bytes() == b"first"
    archive.unlink()
    offer(tmp_path / "layout", "1", b"second")
    assert await engines.fetch(request | {"known": answer["digest"]}) == answer
    newer = await engines.fetch(request | {"known": answer["digest"], "policy": "Always"})
    assert newer.keys() == {"digest"} and newer != answer
    unpack(archive, image, tmp_path / "two")
    assert (tmp_path / "two" / "root" / PROGRAM).read_bytes() == b"second"
    missing = await engines.fetch(request | {"image": f"{registry}/team/nothing:1", "policy": "Never"})
    assert "podman" in missing["failure"]


def unpack(archive: Path, image: str, place: Path) -> None:
    command = [sys.executable, "-m", "kaiki.runtime.unpack", str(archive), image, str(place)]
    subprocess.run(command, check=True, env=dict(os.environ))
