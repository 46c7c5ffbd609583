"""The change journal's entries: who changed what, when, with the object before and after.

The control plane's admission writes them (it alone sees the author), the console reads them. They are kept in one
ConfigMap, one key per entry, so that they outlive every process and several writers need no lock.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JOURNAL_NAME = "kaiki-journal"
"""The ConfigMap, in the control plane's namespace."""
MOST_ENTRIES = 500
MOST_BYTES = 640 * 1024
"""Of all entries together; a ConfigMap takes 1 MiB."""
LARGEST_ENTRY_BYTES = 48 * 1024
LARGEST_TEXT_BYTES = 2 * 1024 * 1024

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeEntry:
    """One change. `id` sorts by time; `time` is Unix seconds; `operation` is create, update, delete or rollout.

    `before` and `after` hold apiVersion, kind, metadata (name, namespace, labels, annotations) and spec, without what
    the API server fills in; None where there was, or is, nothing. `omitted` tells that they were too large to keep.
    """

    id: str
    time: float
    author: str
    operation: str
    api_version: str
    kind: str
    namespace: str
    name: str
    before: Object | None = None
    after: Object | None = None
    omitted: bool = False


def encode_entry(entry: ChangeEntry) -> str:
    """The text of a ConfigMap's value; without the objects when it would be too large."""
    bodies = json.dumps([entry.before, entry.after], separators=(",", ":"), sort_keys=True).encode()
    packed = base64.b64encode(zlib.compress(bodies, 9)).decode()
    kept = len(packed) <= LARGEST_ENTRY_BYTES and len(bodies) <= LARGEST_TEXT_BYTES
    fields: dict[str, Any] = {
        "time": entry.time,
        "author": entry.author[:256],
        "operation": entry.operation,
        "apiVersion": entry.api_version,
        "kind": entry.kind,
        "namespace": entry.namespace,
        "name": entry.name,
    }
    return json.dumps(fields | ({"objects": packed} if kept else {"omitted": True}), separators=(",", ":"))


def decode_entry(key: str, text: str) -> ChangeEntry | None:
    """The entry of a key; None for what is not one (somebody may have edited the ConfigMap)."""
    try:
        fields = json.loads(text)
        before, after = _unpack(fields["objects"]) if "objects" in fields else (None, None)
        return ChangeEntry(
            id=key,
            time=float(fields["time"]),
            author=str(fields["author"]),
            operation=str(fields["operation"]),
            api_version=str(fields["apiVersion"]),
            kind=str(fields["kind"]),
            namespace=str(fields["namespace"]),
            name=str(fields["name"]),
            before=before,
            after=after,
            omitted="objects" not in fields,
        )
    except (ValueError, KeyError, TypeError, zlib.error, binascii.Error):
        return None


def _unpack(packed: str) -> tuple[Object | None, Object | None]:
    decompressor = zlib.decompressobj()
    before, after = json.loads(decompressor.decompress(base64.b64decode(packed), LARGEST_TEXT_BYTES))
    return before, after


def surplus(sizes: Mapping[str, int]) -> list[str]:
    """The keys to drop, the oldest first, so that the rest is within the limits. `sizes`: key → bytes."""
    names, total = sorted(sizes), sum(sizes.values())
    dropped: list[str] = []
    while names and (len(names) > MOST_ENTRIES or total > MOST_BYTES):
        total -= sizes[names[0]]
        dropped.append(names.pop(0))
    return dropped
