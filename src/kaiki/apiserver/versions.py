"""One object under several API versions: what is stored, and how each served version shows it.

Custom resources use the conversion strategy None: only `apiVersion` differs. Core Events and those of events.k8s.io
are one collection with different field names; HorizontalPodAutoscalers have two versions (autoscaling.py).
"""

from __future__ import annotations

from typing import Any

import orjson

from kaiki.apiserver import autoscaling
from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.store import Record

Object = dict[str, Any]
_EVENT_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedSource": "source",
    "reportingController": "reportingComponent",
}
_EVENT_NAMES_BACK = {stored: served for served, stored in _EVENT_NAMES.items()}


def served_body(kind: ResourceType, record: Record, owners: bool = True) -> bytes:
    """The record's JSON as this version shows it; without `managedFields` when `owners` is off."""
    body = record.body if owners else record.body_without_owners()
    prefix = b'{"apiVersion":"%s"' % kind.api_version.encode()
    if body.startswith(prefix):
        return body
    if kind.group == "events.k8s.io" or not kind.custom:
        value = served_object(kind, record)
        if not owners:
            value["metadata"].pop("managedFields", None)
        return orjson.dumps(value)
    return prefix + body[body.index(b",") :]


def served_object(kind: ResourceType, record: Record) -> Object:
    """The record's object as this version shows it; the caller may change it."""
    value = record.load()
    if value["apiVersion"] == kind.api_version:
        return value
    if kind.kind == "Event":
        names = _EVENT_NAMES_BACK if kind.group else _EVENT_NAMES
        value = {names.get(key, key): item for key, item in value.items()}
    elif kind.plural == autoscaling.PLURAL and not kind.custom:
        value = autoscaling.to_v1(value)
    value["apiVersion"] = kind.api_version
    return value


def stored_object(kind: ResourceType, value: Object) -> Object:
    """The object as it is stored, from one in this version."""
    if kind.kind == "Event" and kind.group:
        renamed = {_EVENT_NAMES.get(key, key): item for key, item in value.items()}
        return renamed | {"apiVersion": "v1"}
    if kind.plural == autoscaling.PLURAL and not kind.custom and kind.version == "v1":
        return autoscaling.to_v2(value)
    if kind.storage_version and kind.storage_version != kind.version:
        return value | {"apiVersion": f"{kind.group}/{kind.storage_version}"}
    return value
