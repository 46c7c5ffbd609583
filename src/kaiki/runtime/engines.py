"""Images from podman or docker: asked by the launcher, which alone is outside, where they and the network are.

Only three things are ever asked: is the image there, fetch it, write it to a file. What runs it is the node itself.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from typing import Any

ENGINES = ("podman", "docker")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")
_LIMIT_SECONDS = 1800.0
_MESSAGE_BYTES = 2000


def found_engines() -> tuple[str, ...]:
    """The programs of this machine that can fetch images."""
    return tuple(name for name in ENGINES if shutil.which(name))


async def _run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            output, _ = await process.communicate()
    except (TimeoutError, asyncio.CancelledError):
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode(errors="replace").strip()[-_MESSAGE_BYTES:]


async def fetch(request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry a request out: `image`, `path` to write it to, `policy` (Always, IfNotPresent, Never), `known` (its id).

    Answers `digest` (its id, nothing is written when that is known), or `failure`, in words.
    """
    image = str(request["image"])
    if not _REFERENCE.fullmatch(image):
        return {"failure": f"{image!r} is no name of an image"}
    failures = []
    for engine in found_engines():
        try:
            return {"digest": await _fetch_with(engine, image, request)}
        except (OSError, LookupError, TimeoutError) as error:
            failures.append(f"{engine}: {error or 'it took too long'}")
    return {"failure": "; ".join(failures) or "neither podman nor docker is on this machine"}


async def _fetch_with(engine: str, image: str, request: Mapping[str, Any]) -> str:
    inspect = (engine, "image", "inspect", "--format", "{{.Id}}", image)
    code, text = await _run(*inspect)
    if request["policy"] == "Always" or (code and request["policy"] != "Never"):
        pulled, message = await _run(engine, "pull", "--quiet", image)
        if pulled and code:
            raise LookupError(message)
        code, text = await _run(*inspect)
    if code:
        raise LookupError(text)
    digest = text.splitlines()[-1].removeprefix("sha256:")
    if digest != request.get("known"):
        saved, message = await _run(engine, "save", "--output", str(request["path"]), image)
        if saved:
            raise LookupError(message)
    return digest
