"""The store: revisions, durability, and watches that lose nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.apiserver.catalog import BUILT_IN
from kaiki.apiserver.selectors import parse_selector
from kaiki.apiserver.store import (
    RING_LENGTH,
    Record,
    RevisionExpired,
    RevisionMismatch,
    Store,
    StoreDamaged,
    check_database,
)
from kaiki.apiserver.watch import WatchOptions, watch

PODS = next(kind for kind in BUILT_IN if kind.plural == "pods")


def value(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "a", "labels": labels}}


def put(store: Store, name: str, **labels: str) -> int:
    record = store.get("/pods", "a", name)
    return store.put("/pods", "a", name, value(name, **labels), record.revision if record else 0).revision


def remove(store: Store, name: str) -> None:
    record = store.get("/pods", "a", name)
    if record:
        store.delete("/pods", "a", name, record.load(), record.revision)


def test_writes_survive_reopening(tmp_path: Path) -> None:
    store = Store(tmp_path / "api.sqlite")
    put(store, "one", app="x")
    put(store, "two")
    remove(store, "two")
    store.close()
    again = Store(tmp_path / "api.sqlite")
    assert [record.name for record in again.list("/pods")] == ["one"]
    assert next(again.list("/pods")).labels == {"app": "x"}
    # The deletion's revision counts too, or a later write would reuse it.
    assert again.revision == 3
    again.close()


@pytest.mark.parametrize("existing", [False, True], ids=["new", "from before"])
def test_the_file_is_its_owners_alone(tmp_path: Path, existing: bool) -> None:
    """Secrets are in it, and a home that somebody made beforehand may be open to all."""
    tmp_path.chmod(0o755)
    path = tmp_path / "api.sqlite"
    if existing:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA journal_mode=WAL")
            path.chmod(0o644)
        database.close()
    store = Store(path)
    store.put("/secrets", "a", "key", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}}, 0)
    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    store.close()
    assert modes == {"api.sqlite": 0o600, "api.sqlite-wal": 0o600, "api.sqlite-shm": 0o600}


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "api.sqlite"
    check_database(path)
    store = Store(path)
    for number in range(200):
        put(store, f"pod-{number}")
    store.close()
    check_database(path)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[5000:15000] = b"?" * 10000
    for content in (b"not a database at all" * 100, bytes(damaged), whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(StoreDamaged, match=r"cannot be read .* move .*-wal") as told:
            check_database(path)
        assert f"sqlite3 {path} .recover" in str(told.value)
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreDamaged):
        Store(path)


def test_a_stale_writer_is_refused(tmp_path: Path) -> None:
    store = Store(":memory:")
    seen = put(store, "one")
    put(store, "one", app="x")
    with pytest.raises(RevisionMismatch):
        store.put("/pods", "a", "one", value("one"), seen)
    with pytest.raises(RevisionMismatch):
        store.put("/pods", "a", "one", value("one"), 0)
    store.close()


def test_the_ring_tells_when_a_revision_has_expired() -> None:
    store = Store(":memory:")
    first = put(store, "one")
    for _ in range(RING_LENGTH + 1):
        put(store, "one")
    with pytest.raises(RevisionExpired):
        store.collection("/pods").events_after(first)
    assert len(store.collection("/pods").events_after(store.revision - 5)) == 5
    store.close()


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three"]), st.sampled_from(["x", "y", ""]), st.booleans()), max_size=30
)


@given(OPERATIONS, st.integers(min_value=0, max_value=30), st.sampled_from(["", "app=x"]))
@settings(max_examples=60, deadline=None)
def test_a_watch_loses_nothing(operations: list[tuple[str, str, bool]], start: int, labels: str) -> None:
    """Whatever happens, and wherever a watch begins: list plus events make the same state as the store's."""
    asyncio.run(_follow(operations, start, labels))


async def _follow(operations: list[tuple[str, str, bool]], start: int, labels: str) -> None:
    store = Store(":memory:")
    selector = parse_selector(labels, "")
    for operation in operations[:start]:
        _perform(store, operation)
    state = {record.name: str(record.revision) for record in store.list("/pods") if selector.matches(record)}
    stream = watch(store, PODS, WatchOptions("", selector, store.revision), lambda record: record.body)
    reader = asyncio.create_task(_read(stream, state))
    for operation in operations[start:]:
        _perform(store, operation)
        if operation[2]:
            await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader
    assert state == {record.name: str(record.revision) for record in store.list("/pods") if selector.matches(record)}
    assert not store.collection("/pods").waiters
    store.close()


def _perform(store: Store, operation: tuple[str, str, bool]) -> None:
    name, label, _ = operation
    if label:
        put(store, name, app=label)
    else:
        remove(store, name)


async def _read(stream: AsyncGenerator[bytes, None], state: dict[str, str]) -> None:
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            for line in chunk.splitlines():
                event = orjson.loads(line)
                metadata = event["object"]["metadata"]
                if event["type"] == "DELETED":
                    assert state.pop(metadata["name"], None) is not None, "deleted what was never added"
                else:
                    assert (event["type"] == "MODIFIED") == (metadata["name"] in state)
                    state[metadata["name"]] = metadata["resourceVersion"]


def test_compaction_forgets_what_is_old_and_keeps_what_is_not() -> None:
    store = Store(":memory:")
    put(store, "one")
    put(store, "two")
    before = store.revision
    put(store, "three")
    store.compact(before)
    held = store.collection("/pods")
    assert [event.record.name for event in held.events_after(before)] == ["three"]
    assert held.events_after(store.revision) == []
    with pytest.raises(RevisionExpired):
        held.events_after(before - 1)
    assert [record.name for record in store.list("/pods")] == ["one", "three", "two"], "objects stay"
    store.compact(store.revision)
    assert held.events == [] and held.ring_bytes == 0
    store.close()


@pytest.mark.parametrize("old", [False, True], ids=["a new file", "a file from before"])
def test_the_file_shrinks_after_its_objects(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "api.sqlite"
    if old:
        with contextlib.closing(sqlite3.connect(path)) as before:
            before.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, revision INTEGER)")
            before.execute("INSERT INTO counter VALUES (1, 70)")
            before.commit()
    store = Store(path)
    first = store.revision
    assert first == (70 if old else 0)
    for number in range(3000):
        put(store, f"pod-{number}", text="x" * 4000)
    store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    full = path.stat().st_size
    for number in range(3000):
        remove(store, f"pod-{number}")
    sizes = []
    for _ in range(4):
        store.compact(store.revision)
        store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(path.stat().st_size)
    assert full > 12_000_000 and sizes[0] < full and sizes[-1] < 2_000_000, (full, sizes)
    store.close()
    again = Store(path)
    assert again.revision == first + 6000
    again.close()


def test_owners_are_cut_out_of_the_object_and_not_out_of_what_it_describes() -> None:
    """`managedFields` of a template are the template's business, also where the object itself has none."""
    template = {"metadata": {"labels": {}, "managedFields": [{"manager": "template"}]}}
    for own in ({}, {"managedFields": [{"manager": "me"}]}):
        metadata = {"name": "a", "finalizers": ["example.test/kept"], **own, "resourceVersion": "7"}
        value = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template}
        read = orjson.loads(Record("default", "a", 7, orjson.dumps(value), {}).body_without_owners())
        assert read == {**value, "metadata": {key: item for key, item in metadata.items() if key != "managedFields"}}
