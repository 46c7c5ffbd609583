"""Container logs: form, rotation, reading, following."""

import asyncio
import os
from pathlib import Path

from kaiki.runtime.logs import ContainerLog, LogQuery, format_lines, read_log


def test_format() -> None:
    assert format_lines("stdout", b"a", b"b\nc\nd", b"T") == (b"T stdout F ab\nT stdout F c\n", b"d")
    long = b"x" * (1 << 14)
    assert format_lines("stderr", b"", long, b"T") == (b"T stderr P " + long + b"\n", b"")


async def collect(path: Path, live: ContainerLog | None, query: LogQuery) -> bytes:
    return b"".join([piece async for piece in read_log(path, live, query)])


async def written(log: ContainerLog, count: int) -> None:
    async with asyncio.timeout(10):
        while log.path.read_bytes().count(b"\n") < count:
            await log.wait_for_more()


async def test_reading(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "c/0.log")
    out, err = os.dup(log.output), os.dup(log.errors)
    log.started()
    os.write(out, b"one\ntwo\n")
    os.write(err, b"three\nrest")
    await written(log, 3)
    os.close(out)
    os.close(err)
    await written(log, 4)
    log.close()
    assert sorted((await collect(log.path, log, LogQuery())).split()) == [b"one", b"rest", b"three", b"two"]
    assert (await collect(log.path, None, LogQuery(tail_lines=1))) == b"rest\n"
    assert (await collect(log.path, None, LogQuery(tail_lines=0))) == b""
    assert len(await collect(log.path, None, LogQuery(limit_bytes=5))) == 5
    stamped = await collect(log.path, None, LogQuery(timestamps=True, tail_lines=1))
    assert stamped.split(b" ", 1)[1] == b"rest\n" and stamped.startswith(b"20")
    assert await collect(log.path, None, LogQuery(since_seconds=-5)) == b""


async def test_following_through_a_rotation(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log", rotate_bytes=300)
    out = os.dup(log.output)
    log.started()
    log.write("first")
    following = asyncio.create_task(collect(log.path, log, LogQuery(follow=True)))
    await asyncio.sleep(0)
    for number in range(10):
        log.write(f"line {number}")
        await asyncio.sleep(0)
    os.close(out)
    log.close()
    async with asyncio.timeout(10):
        text = await following
    assert text.splitlines() == [b"first", *(f"line {number}".encode() for number in range(10))]
    assert log.path.with_name("0.log.1").exists()
