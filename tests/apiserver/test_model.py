"""Several clients doing anything at all, against a simple model of the store: Hypothesis looks for a difference.

Through the real HTTP API of one server in one event loop. The model is a dict of objects and the list of all versions
of each; a watch from any of the revisions seen must tell exactly the changes since, in order, each once.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings

Object = dict[str, Any]
MAPS = "/api/v1/namespaces/default/configmaps"
names = st.sampled_from(["a", "b", "c", "d"])
texts = st.sampled_from(["1", "2", "3"])
labels = st.sampled_from(["red", "blue"])
managers = st.sampled_from(["anna", "berta"])


@dataclass
class Model:
    """What is there, and every change so far as (type, object), the revisions ascending."""

    objects: dict[str, Object] = field(default_factory=dict)
    changes: list[tuple[str, Object]] = field(default_factory=list)

    def revision(self, name: str) -> int:
        return int(self.objects[name]["metadata"]["resourceVersion"])

    def changed(self, kind: str, value: Object) -> None:
        name, revision = value["metadata"]["name"], int(value["metadata"]["resourceVersion"])
        assert not self.changes or revision > int(self.changes[-1][1]["metadata"]["resourceVersion"])
        self.changes.append((kind, value))
        if kind == "DELETED":
            del self.objects[name]
        else:
            self.objects[name] = value

    def at(self, revision: int) -> dict[str, Object]:
        found: dict[str, Object] = {}
        for kind, value in self.changes:
            if int(value["metadata"]["resourceVersion"]) <= revision:
                found[value["metadata"]["name"]] = value
                if kind == "DELETED":
                    del found[value["metadata"]["name"]]
        return found


class Clients(RuleBasedStateMachine):
    """Each rule is one request of some client, and what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = contextlib.AsyncExitStack()
        self.model = Model()
        self.folder = tempfile.TemporaryDirectory()
        self.run(self.start(Path(self.folder.name)))
        self.revisions = [int(self.call("GET", MAPS)[1]["metadata"]["resourceVersion"])]

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def start(self, home: Path) -> None:
        server = await self.stack.enter_async_context(ApiServer(ApiServerSettings(home, (), (("127.0.0.1", 0),))))
        self.url = f"https://127.0.0.1:{server.ports[0]}"
        context = ssl.create_default_context(cadata=credentials.authority_certificate(home))
        headers = {"Authorization": f"Bearer {credentials.admin_token(home)}"}
        connector = aiohttp.TCPConnector(ssl=context)
        self.session = await self.stack.enter_async_context(aiohttp.ClientSession(headers=headers, connector=connector))

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.run(self.end_what_is_left())
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()
        self.folder.cleanup()

    async def end_what_is_left(self) -> None:
        """Watches whose client has gone wait for the next event."""
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        return self.run(self.ask(method, path, body, kind))  # type: ignore[no-any-return]

    async def ask(self, method: str, path: str, body: Any, kind: str) -> tuple[int, Any]:
        data = None if body is None else orjson.dumps(body)
        request = self.session.request(method, self.url + path, data=data, headers={"Content-Type": kind})
        async with request as response:
            answer = orjson.loads(await response.read())
            assert response.status < 400 or (answer["kind"], answer["code"]) == ("Status", response.status)
            return response.status, answer

    def written(self, name: str, code: int, answer: Object) -> None:
        """A write that was accepted: new, changed, or nothing to change."""
        before = self.model.objects.get(name)
        if before is None:
            assert code == 201
            self.model.changed("ADDED", answer)
            return
        assert code == 200
        if answer["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
            assert answer == before
            return
        last = "deletionTimestamp" in before["metadata"] and not answer["metadata"].get("finalizers")
        self.model.changed("DELETED" if last else "MODIFIED", answer)

    @rule(name=names, text=texts, label=labels, held=st.booleans())
    def create(self, name: str, text: str, label: str, held: bool) -> None:
        metadata = {"name": name, "labels": {"color": label}} | ({"finalizers": ["test/hold"]} if held else {})
        code, answer = self.call("POST", MAPS, {"metadata": metadata, "data": {"text": text}})
        if name in self.model.objects:
            assert (code, answer["reason"]) == (409, "AlreadyExists")
        else:
            self.written(name, code, answer)

    @rule(name=names, text=texts, stale=st.booleans())
    def update(self, name: str, text: str, stale: bool) -> None:
        current = self.model.objects.get(name)
        body = copy.deepcopy(current) if current else {"metadata": {"name": name}}
        body["data"] = {"text": text}
        if stale and current:
            body["metadata"]["resourceVersion"] = str(self.model.revision(name) - 1)
        code, answer = self.call("PUT", f"{MAPS}/{name}", body)
        if current is None:
            assert (code, answer["reason"]) == (404, "NotFound")
        elif stale:
            assert (code, answer["reason"]) == (409, "Conflict")
        else:
            assert answer["data"] == {"text": text}
            self.written(name, code, answer)

    @rule(name=names, text=texts, label=labels, strategic=st.booleans())
    def patch(self, name: str, text: str, label: str, strategic: bool) -> None:
        kind = f"application/{'strategic-' if strategic else ''}merge-patch+json"
        body = {"metadata": {"labels": {"color": label}}, "data": {"patched": text}}
        code, answer = self.call("PATCH", f"{MAPS}/{name}", body, kind)
        if name not in self.model.objects:
            assert code == 404
            return
        assert (answer["data"]["patched"], answer["metadata"]["labels"]["color"]) == (text, label)
        self.written(name, code, answer)

    @rule(name=names, text=texts)
    def patch_if_it_is_so(self, name: str, text: str) -> None:
        body = [{"op": "test", "path": "/data/text", "value": text}, {"op": "remove", "path": "/data/text"}]
        code, answer = self.call("PATCH", f"{MAPS}/{name}", body, "application/json-patch+json")
        if name not in self.model.objects:
            assert code == 404
        elif self.model.objects[name].get("data", {}).get("text") != text:
            assert (code, answer["reason"]) == (422, "Invalid")
        else:
            assert "text" not in answer.get("data", {})
            self.written(name, code, answer)

    @rule(name=names, text=texts, manager=managers, force=st.booleans(), key=st.sampled_from(["text", "own"]))
    def apply(self, name: str, text: str, manager: str, force: bool, key: str) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}}
        path = f"{MAPS}/{name}?fieldManager={manager}&force={str(force).lower()}"
        code, answer = self.call("PATCH", path, body, "application/apply-patch+yaml")
        current = self.model.objects.get(name)
        if code == 409:
            assert not force
            assert current is not None
            assert current["data"][key] != text
            assert {each["reason"] for each in answer["details"]["causes"]} == {"FieldManagerConflict"}
            assert all(each["field"] == f".data.{key}" for each in answer["details"]["causes"])
            return
        assert answer["data"][key] == text
        owner = [each for each in answer["metadata"]["managedFields"] if each["manager"] == manager]
        assert [each["fieldsV1"] for each in owner if each["operation"] == "Apply"] == [{"f:data": {f"f:{key}": {}}}]
        self.written(name, code, answer)

    @rule(name=names, precondition=st.sampled_from(["none", "right", "stale", "other"]))
    def delete(self, name: str, precondition: str) -> None:
        current = self.model.objects.get(name)
        wanted: Object = {}
        if current:
            metadata = current["metadata"]
            stale = str(int(metadata["resourceVersion"]) - 1)
            wanted = {
                "right": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
                "stale": {"resourceVersion": stale},
                "other": {"uid": "other"},
            }.get(precondition, {})
        code, answer = self.call("DELETE", f"{MAPS}/{name}", {"preconditions": wanted})
        if current is None:
            assert code == 404
        elif precondition in ("stale", "other"):
            assert (code, answer["reason"]) == (409, "Conflict")
        elif current["metadata"].get("finalizers"):
            assert "deletionTimestamp" in answer["metadata"]
            self.written(name, code, answer)
        else:
            assert (code, answer["status"]) == (200, "Success")
            self.gone(name)

    def gone(self, name: str) -> None:
        """The last state comes with the watch only: its revision is the next one."""
        before = self.model.objects[name]
        revision = self.call("GET", MAPS)[1]["metadata"]["resourceVersion"]
        self.model.changed("DELETED", {**before, "metadata": {**before["metadata"], "resourceVersion": revision}})

    @rule(name=names)
    def release(self, name: str) -> None:
        code, answer = self.call(
            "PATCH", f"{MAPS}/{name}", {"metadata": {"finalizers": None}}, "application/merge-patch+json"
        )
        if name in self.model.objects:
            self.written(name, code, answer)
        else:
            assert code == 404

    @rule(name=names, text=texts)
    def dry_run(self, name: str, text: str) -> None:
        self.call("PATCH", f"{MAPS}/{name}?dryRun=All", {"data": {"text": text}}, "application/merge-patch+json")
        self.call("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": name}})
        self.call("DELETE", f"{MAPS}/{name}?dryRun=All")

    @rule(limit=st.integers(1, 3), text=texts)
    def list_in_pages(self, limit: int, text: str) -> None:
        """Somebody writes between the first page and the second; the list is still that of the first."""
        code, page = self.call("GET", f"{MAPS}?limit={limit}")
        revision, items = int(page["metadata"]["resourceVersion"]), page["items"]
        self.patch("d", text, "blue", False)
        while token := page["metadata"].get("continue"):
            code, page = self.call("GET", f"{MAPS}?limit={limit}&continue={quote(token)}")
            assert code == 200
            items += page["items"]
        assert names_of(items) == sorted(self.model.at(revision))
        assert [with_type(each) for each in items] == [value for _, value in sorted(self.model.at(revision).items())]

    @rule(label=labels)
    def list_by_label(self, label: str) -> None:
        _, listed = self.call("GET", f"{MAPS}?labelSelector=color%3D{label}")
        expected = [name for name, value in sorted(self.model.objects.items()) if color(value) == label]
        assert names_of(listed["items"]) == expected

    @rule(choice=st.integers(0, 1000))
    def watch_from_an_old_revision(self, choice: int) -> None:
        since = self.revisions[choice % len(self.revisions)]
        expected = [change for change in self.model.changes if int(change[1]["metadata"]["resourceVersion"]) > since]
        seen = self.run(self.watched(f"{MAPS}?watch=1&resourceVersion={since}", len(expected)))
        assert [each["type"] for each in seen] == [kind for kind, _ in expected]
        for each, (kind, value) in zip(seen, expected, strict=True):
            assert each["object"]["metadata"]["resourceVersion"] == value["metadata"]["resourceVersion"]
            assert kind == "DELETED" or with_type(each["object"]) == value

    @rule()
    def watch_from_the_beginning(self) -> None:
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        *seen, end = self.run(self.watched(f"{MAPS}?{query}", len(self.model.objects) + 1))
        assert [with_type(each["object"]) for each in seen] == [
            self.model.objects[name] for name in sorted(self.model.objects)
        ]
        assert {each["type"] for each in seen} <= {"ADDED"}
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    async def watched(self, path: str, count: int) -> list[Object]:
        if not count:
            return []
        seen: list[Object] = []
        async with self.session.get(self.url + path, timeout=aiohttp.ClientTimeout(sock_read=30)) as response:
            async for line in response.content:
                seen.append(orjson.loads(line))
                if len(seen) == count:
                    break
        return seen

    @invariant()
    def what_is_listed_is_what_was_written(self) -> None:
        _, listed = self.call("GET", MAPS)
        assert [with_type(each) for each in listed["items"]] == [
            value for _, value in sorted(self.model.objects.items())
        ]
        self.revisions.append(int(listed["metadata"]["resourceVersion"]))


def color(value: Object) -> str | None:
    found: str | None = (value["metadata"].get("labels") or {}).get("color")
    return found


def names_of(items: list[Object]) -> list[str]:
    return [each["metadata"]["name"] for each in items]


def with_type(value: Object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", **value}


TestClients = Clients.TestCase
TestClients.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
