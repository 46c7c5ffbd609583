"""The scale subresource: one shape (`autoscaling/v1 Scale`) over whatever fields a kind counts its replicas in."""

from __future__ import annotations

from typing import Any

from kaiki.apiserver.catalog import SCALE, ResourceType
from kaiki.apiserver.errors import bad_request
from kaiki.apiserver.fields import read_definition
from kaiki.apiserver.patch import PatchError, json_patch, merge_patch
from kaiki.apiserver.tables import find_path, parse_path

Object = dict[str, Any]
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _paths(kind: ResourceType) -> tuple[str, str, str]:
    declared = kind.subresource("scale")
    return declared.paths if declared else (".spec.replicas", ".status.replicas", "")


def scale_of(kind: ResourceType, value: Object) -> Object:
    """An `autoscaling/v1 Scale` of an object."""
    wanted_path, present_path, selector_path = _paths(kind)
    metadata = value["metadata"]
    wanted = (find_path(value, parse_path(wanted_path)) or [0 if kind.custom else 1])[0]
    present = (find_path(value, parse_path(present_path)) or [0])[0]
    if kind.custom:
        found = find_path(value, parse_path(selector_path)) if selector_path else []
        selector = str(found[0]) if found else ""
    else:
        selector = _selector_text((value.get("spec") or {}).get("selector"))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in _KEPT if key in metadata},
        "spec": {"replicas": wanted},
        "status": {"replicas": present, **({"selector": selector} if selector else {})},
    }


def _selector_text(selector: Object | None) -> str:
    selector = selector or {}
    structured = "matchLabels" in selector or "matchExpressions" in selector
    labels = (selector.get("matchLabels") or {}) if structured else selector
    return ",".join(f"{key}={text}" for key, text in sorted(labels.items()))


def write_replicas(kind: ResourceType, value: Object, replicas: int) -> None:
    """Put the wanted number where this kind keeps it, in place."""
    *parents, last = parse_path(_paths(kind)[0])
    for step in parents:
        value = value.setdefault(str(step), {})
    value[str(last)] = replicas


def patched_scale(form: str, method: str, scale: Object, body: Any) -> Object:
    """The Scale that a PUT or a PATCH (`form` is its media type) asks for. ApiError 400 or 422 when it is none."""
    if not isinstance(body, list if form == "application/json-patch+json" else dict):
        raise bad_request("the object provided is unrecognized")
    try:
        if method == "PUT":
            result = body
        elif form == "application/json-patch+json":
            result = json_patch(scale, body)
        else:
            result = merge_patch(scale, body)
    except PatchError as error:
        raise bad_request(f"the server rejected our request due to an error in our request: {error}") from error
    return read_definition(SCALE, result)


def applied_scale(kind: ResourceType, body: Any) -> Object:
    """An applied Scale as a configuration of the object that is scaled. ApiError 400 when it is none."""
    asked = read_definition(SCALE, body)
    value: Object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
    if "replicas" in (asked.get("spec") or {}):
        write_replicas(kind, value, asked["spec"]["replicas"])
    return value


def scale_table(scale: Object) -> Object:
    """What `kubectl get --subresource=scale` prints."""
    from kaiki.apiserver.durations import since

    metadata = scale["metadata"]
    heads = (
        ("Name", "string", "name"),
        ("Desired", "integer", ""),
        ("Available", "integer", ""),
        ("Age", "string", ""),
    )
    cells = [metadata["name"], scale["spec"]["replicas"], scale["status"]["replicas"]]
    carried = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": metadata.get("resourceVersion", "")},
        "columnDefinitions": [
            {"name": name, "type": kind, "format": form, "description": name, "priority": 0}
            for name, kind, form in heads
        ],
        "rows": [{"cells": [*cells, since(metadata.get("creationTimestamp") or "")], "object": carried}],
    }
