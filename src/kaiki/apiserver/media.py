"""Bodies in and out: which format a body is in, and which the client wants.

Whatever is sent, reading it takes bounded memory and stack: bodies have a greatest size and depth, YAML no aliases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from kaiki.apiserver.errors import ApiError, bad_request, too_large, unsupported_media_type

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = ("application/yaml", "application/x-yaml", "text/yaml", "application/apply-patch+yaml")
ACCEPTED = (JSON, "application/yaml", PROTOBUF)
DEPTH_LIMIT = 150
"""How deep a body may be nested. The largest schemas of CRDs take about half of it."""


@dataclass(frozen=True)
class Wanted:
    """What the `Accept` header asks for: `shape` is "" (objects), Table, PartialObjectMetadata…, with its version."""

    shape: str = ""
    version: str = ""
    group: str = ""


def wanted(accept: str) -> Wanted:
    """The first acceptable form: JSON, possibly as another kind (`application/json;as=Table;v=v1;g=meta.k8s.io`)."""
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind not in (JSON, "*/*", "application/*", ""):
            continue
        found = dict(parameter.partition("=")[::2] for parameter in parameters)
        if "as" in found:
            return Wanted(found["as"], found.get("v", "v1"), found.get("g", ""))
        return Wanted()
    return Wanted()


async def read_request(http: web.BaseRequest) -> Any:
    """A request's body as plain values, None when it has none. ApiError 400, 413 or 415 when it cannot be read."""
    try:
        body = await http.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(http.client_max_size) from None
    return read_body(body, http.headers.get("Content-Type", ""))


def read_body(body: bytes, content_type: str) -> Any:
    """A body as plain values. ApiError 400 when it cannot be read, 415 for a format that is not spoken here."""
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == PROTOBUF or body.startswith(b"k8s\x00"):
        from kaiki.apiserver.protobuf import decode

        return decode(body)
    if kind in YAML and not body.lstrip().startswith(b"{"):
        return _read_yaml(body)
    if kind and kind not in (*YAML, JSON) and not kind.endswith("+json") and kind not in ("text/plain", "*/*"):
        raise unsupported_media_type(kind, ACCEPTED)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT and _is_deeper(value, DEPTH_LIMIT):
        raise _too_deep()
    return value


def _too_deep() -> ApiError:
    return bad_request(f"the object provided is nested deeper than {DEPTH_LIMIT} levels")


def _is_deeper(value: Any, limit: int) -> bool:
    """Whether objects and lists are nested deeper than this; looks level by level, so depth costs no stack."""
    level = [value]
    for _ in range(limit + 1):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(item for item in each.values() if isinstance(item, dict | list))
            elif isinstance(each, list):
                below.extend(item for item in each if isinstance(item, dict | list))
        if not below:
            return False
        level = below
    return True


def _read_yaml(body: bytes) -> Any:
    import yaml

    try:
        _check_yaml(body)
        value = yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        # As JSON would have it: text as keys, times as text.
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except yaml.YAMLError as error:
        problem = re.sub(r"\s+", " ", str(error))
        raise bad_request(f"error parsing YAML: {problem}") from error
    except (TypeError, ValueError) as error:
        raise bad_request(f"the YAML says what JSON cannot: {error}") from error


def _check_yaml(body: bytes) -> None:
    """Look at the events before anything is built: the loader recurses in C, and aliases grow without bound."""
    import yaml

    depth = 0
    for event in yaml.parse(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                raise _too_deep()
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise bad_request("YAML aliases are not read here: write the values out, or send JSON")
