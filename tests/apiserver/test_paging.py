"""Lists in pages and of the past: what one list shows is of one revision, or the client is told that it is not."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

MAPS = "/api/v1/namespaces/default/configmaps"


async def make(api: Any, *names: str) -> None:
    for name in names:
        code, _ = await api.post(MAPS, {"metadata": {"name": name}, "data": {"is": "old"}})
        assert code == 201


def names(listed: Any) -> list[str]:
    return [each["metadata"]["name"] for each in listed["items"]]


async def test_the_pages_of_one_list_are_of_one_revision(api: Any) -> None:
    await make(api, "a", "b", "c", "d")
    _, first = await api.get(f"{MAPS}?limit=2")
    await api.delete(f"{MAPS}/c")
    await api.patch(f"{MAPS}/d", {"data": {"is": "new"}})
    await make(api, "e")
    _, second = await api.get(f"{MAPS}?limit=2&continue={quote(first['metadata']['continue'])}")
    assert names(first) + names(second) == ["a", "b", "c", "d"]
    assert second["items"][1]["data"] == {"is": "old"}
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    assert names((await api.get(MAPS))[1]) == ["a", "b", "d", "e"]


async def test_an_old_token_is_answered_with_one_that_goes_on(api: Any) -> None:
    await make(api, "a", "b", "c")
    _, first = await api.get(f"{MAPS}?limit=1")
    text = "x" * 700_000
    for number in range(16):
        await api.patch(f"{MAPS}/c", {"data": {"text": text, "is": str(number)}})
    code, status = await api.get(f"{MAPS}?limit=5&continue={quote(first['metadata']['continue'])}")
    assert (code, status["kind"], status["reason"]) == (410, "Status", "Expired")
    code, rest = await api.get(f"{MAPS}?limit=5&continue={quote(status['metadata']['continue'])}")
    assert (code, names(rest), rest["items"][1]["data"]["is"]) == (200, ["b", "c"], "15")
    old = first["metadata"]["resourceVersion"]
    code, status = await api.get(f"{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact")
    assert (code, status["reason"]) == (410, "Expired")
    stream = api.watch(f"{MAPS}?watch=1&resourceVersion={old}")
    event = await anext(stream)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    await stream.aclose()


async def test_a_list_of_the_past(api: Any) -> None:
    await make(api, "a", "b")
    _, before = await api.get(MAPS)
    at = before["metadata"]["resourceVersion"]
    await api.delete(f"{MAPS}/a")
    assert (await api.get(f"{MAPS}?resourceVersion={at}&resourceVersionMatch=Exact"))[1] == before
    assert names((await api.get(f"{MAPS}?resourceVersion={at}&resourceVersionMatch=NotOlderThan"))[1]) == ["b"]


async def test_a_long_list_is_whole(api: Any) -> None:
    """Longer than a piece, so that it is written in several."""
    many = [f"m{number:03}" for number in range(120)]
    await make(api, *many)
    assert names((await api.get(MAPS))[1]) == many
    _, some = await api.get(f"{MAPS}?limit=5&fieldSelector=metadata.name!=m000")
    assert names(some) == many[1:6]
    assert "remainingItemCount" not in some["metadata"]


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersionMatch=Exact",
        "resourceVersion=5&resourceVersionMatch=Newest",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "continue=W10=",
        "continue=WzEsMiwzLDRd",
        "continue=%FF",
        "resourceVersion=%C2%B2",
    ],
)
async def test_what_makes_no_sense_is_refused(api: Any, query: str) -> None:
    code, status = await api.get(f"{MAPS}?{query}")
    assert (code, status["kind"]) == (400, "Status"), status
