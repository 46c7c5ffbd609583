"""Killing the server at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


KILLS = 100
FORKS = """
import asyncio, os, sys
from pathlib import Path
from kaiki.apiserver.server import ApiServer, ApiServerSettings, serve

while True:
    if (child := os.fork()) == 0:
        asyncio.run(serve(ApiServerSettings(home=Path(sys.argv[1]), listen_fds=(int(sys.argv[2]),))))
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


@dataclass
class Memory:
    """What a client knows of its writes: `unclear` are those whose answer it never got."""

    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    count: int = 0

    async def write(self, session: aiohttp.ClientSession, path: str, writer: str, stop: asyncio.Event) -> None:
        """Make objects, and delete each third again, until told to stop."""
        for number in itertools.count():
            if stop.is_set():
                return
            name = f"{writer}-{number}"
            await self.acknowledged(session, "POST", path, name, {"metadata": {"name": name}, "data": {"n": name}})
            if number % 3 == 0:
                await self.acknowledged(session, "DELETE", f"{path}/{name}", name, None)

    async def acknowledged(
        self, session: aiohttp.ClientSession, method: str, path: str, name: str, body: object
    ) -> None:
        self.unclear.add(name)
        try:
            async with session.request(method, path, json=body) as response:
                if response.status not in (200, 201):
                    return
                await response.read()
        except (aiohttp.ClientError, OSError):
            return
        self.unclear.discard(name)
        (self.there if method == "POST" else self.gone).add(name)
        self.count += 1

    def check(self, names: set[str]) -> None:
        """Everything acknowledged is as it was acknowledged."""
        assert self.there - self.gone - self.unclear <= names
        assert not (self.gone - self.unclear) & names


async def test_a_hundred_kills_while_writing(tmp_path: Path) -> None:
    """Each server is a fork of a process that has everything loaded, so a hundred of them take seconds."""
    credentials.ensure_credentials(tmp_path)
    context = ssl.create_default_context(cadata=credentials.authority_certificate(tmp_path))
    headers = {"Authorization": f"Bearer {credentials.admin_token(tmp_path)}"}
    connector = aiohttp.TCPConnector(ssl=context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = f"https://127.0.0.1:{listener.getsockname()[1]}/api/v1/namespaces/default/configmaps"
        forks = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FORKS, str(tmp_path), str(listener.fileno()),
            pass_fds=(listener.fileno(),), stdout=-1, start_new_session=True,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
                memory = await write_and_kill(forks, session, path)
                listed = await read_all(session, path)
        finally:
            os.killpg(forks.pid, signal.SIGKILL)
            await forks.communicate()
    assert memory.count >= KILLS
    memory.check({each["metadata"]["name"] for each in listed})
    assert all(each["data"] == {"n": each["metadata"]["name"]} for each in listed if "data" in each)


async def read_all(session: aiohttp.ClientSession, path: str) -> list[Any]:
    """Every object there is. Connections to the last server that was killed may still be in the client's pool."""
    while True:
        try:
            async with session.get(path) as response:
                found: list[Any] = (await response.json())["items"]
                return found
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.05)


async def write_and_kill(forks: asyncio.subprocess.Process, session: aiohttp.ClientSession, path: str) -> Memory:
    """Four clients write while one server after the other is killed, each after a few acknowledged writes."""
    memory, stop, chance = Memory(), asyncio.Event(), random.Random(7)
    assert forks.stdout is not None
    writers = [asyncio.create_task(memory.write(session, path, f"w{at}", stop)) for at in range(4)]
    for _ in range(KILLS):
        server = int(await forks.stdout.readline())
        wanted = memory.count + chance.randrange(1, 12)
        while memory.count < wanted:
            await asyncio.sleep(0.001)
        os.kill(server, signal.SIGKILL)
    stop.set()
    await asyncio.gather(*writers)
    return memory
