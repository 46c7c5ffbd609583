"""The difference between two JSON values as a JSON patch (RFC 6902).

Written so that applying it gives exactly the second value, and so that what did not change is not mentioned: other
webhooks may have changed it in between. Lists are compared at both ends, since injection adds in front and behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Operation = dict[str, Any]


def json_patch(old: Any, new: Any) -> list[Operation]:
    """Operations that turn `old` into `new`."""
    return list(_differences("", old, new))


def _differences(path: str, old: Any, new: Any) -> Iterator[Operation]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _object(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list(path, old, new)
    elif not _same(old, new):
        yield {"op": "replace", "path": path, "value": new}


def _object(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Operation]:
    for name in old:
        if name not in new:
            yield {"op": "remove", "path": f"{path}/{_escape(name)}"}
    for name, value in new.items():
        place = f"{path}/{_escape(name)}"
        if name in old:
            yield from _differences(place, old[name], value)
        else:
            yield {"op": "add", "path": place, "value": value}


def _list(path: str, old: list[Any], new: list[Any]) -> Iterator[Operation]:
    """What is common at both ends stays; what lies between is changed in place, then removed or added."""
    most = min(len(old), len(new))
    start = next((index for index in range(most) if not _same(old[index], new[index])), most)
    end = next((index for index in range(most - start) if not _same(old[-1 - index], new[-1 - index])), most - start)
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    shared = min(len(before), len(after))
    for index in range(shared):
        yield from _differences(f"{path}/{start + index}", before[index], after[index])
    for index in range(len(before) - 1, shared - 1, -1):
        yield {"op": "remove", "path": f"{path}/{start + index}"}
    for index in range(shared, len(after)):
        yield {"op": "add", "path": f"{path}/{start + index}", "value": after[index]}


def _same(old: Any, new: Any) -> bool:
    """Equal as JSON: unlike in Python, true is not 1, at any depth."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
