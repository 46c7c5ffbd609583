"""Bodies in and out: which format a body is in, and which the client wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from kaiki.apiserver.errors import bad_request, unsupported_media_type

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = ("application/yaml", "application/x-yaml", "text/yaml", "application/apply-patch+yaml")
ACCEPTED = (JSON, "application/yaml", PROTOBUF)


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
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error


def _read_yaml(body: bytes) -> Any:
    import yaml

    try:
        return yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        problem = re.sub(r"\s+", " ", str(error))
        raise bad_request(f"error parsing YAML: {problem}") from error
