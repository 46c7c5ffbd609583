"""A real Prometheus (Debian's package) for tests to compare with."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_UNPACKED = Path(__file__).resolve().parents[2] / ".tools" / "prometheus" / "usr" / "bin"


def find_tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path=str(_UNPACKED))
    if path is None:
        pytest.skip(f"`{name}` is not on this machine; `python3 tools/setup.py --system` gets it")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_prometheus(folder: Path, configuration: str, *arguments: str) -> Iterator[str]:
    """Its address, while inside. `folder/data` may hold blocks already."""
    (folder / "prometheus.yml").write_text(configuration)
    port = free_port()
    process = subprocess.Popen(
        [
            find_tool("prometheus"),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            *arguments,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()  # What it holds is of no more use; a graceful end would wait for those it writes to.
        process.wait()


def _wait_ready(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready") as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError("Prometheus does not become ready")


def ask(url: str, path: str, **parameters: str) -> Any:
    """The JSON document, of errors too."""
    try:
        with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)
