"""Killing the server at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from pathlib import Path

import aiohttp

from kaiki.apiserver import credentials

PROGRAM = """
import asyncio, socket, sys
from pathlib import Path
from kaiki.apiserver.server import ApiServer, ApiServerSettings, serve

async def main():
    descriptor = int(sys.argv[2])
    await serve(ApiServerSettings(home=Path(sys.argv[1]), listen_fds=(descriptor,)))

asyncio.run(main())
"""


async def start(home: Path, listener: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(home), str(listener), pass_fds=(listener,)
    )


async def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    import socket

    credentials.ensure_credentials(tmp_path)
    context = ssl.create_default_context(cadata=credentials.authority_certificate(tmp_path))
    headers = {"Authorization": f"Bearer {credentials.admin_token(tmp_path)}"}
    # The launcher's way: the socket outlives the server, so clients only wait while it restarts.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = f"https://127.0.0.1:{listener.getsockname()[1]}/api/v1/namespaces/default/configmaps"
        process = await start(tmp_path, listener.fileno())
        acknowledged: list[str] = []
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=context)) as session:
            killer = asyncio.create_task(kill_after(process, acknowledged))
            try:
                for number in range(10_000):
                    async with session.post(path, json={"metadata": {"name": f"m{number}"}}) as response:
                        assert response.status == 201
                        acknowledged.append(f"m{number}")
            except aiohttp.ClientError:
                pass
            await killer
            again = await start(tmp_path, listener.fileno())
            async with session.get(path) as response:
                listed = await response.json()
            again.send_signal(signal.SIGTERM)
            assert await again.wait() == 0
    assert len(acknowledged) >= 50
    assert set(acknowledged) <= {each["metadata"]["name"] for each in listed["items"]}


async def kill_after(process: asyncio.subprocess.Process, acknowledged: list[str]) -> None:
    while len(acknowledged) < 50:
        await asyncio.sleep(0.001)
    process.kill()
    await process.wait()
