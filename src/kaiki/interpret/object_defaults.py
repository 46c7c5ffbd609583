"""Defaults of the mesh config for objects that do not say it: where they are visible, how requests are tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from kaiki.interpret.hosts import resolve_export
from kaiki.interpret.virtual_services import http_retries
from kaiki.model.defaults import EVERYWHERE, NO_DEFAULTS, ObjectDefaults
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.route import Retries, VirtualService
from kaiki.model.service import ServiceEntry
from kaiki.resources import core
from kaiki.resources.istio.virtual_service import HTTPRetry

Problems = tuple[tuple[str, str], ...]
Thing = TypeVar("Thing")
_EXPORTS = {
    "service_export_to": "defaultServiceExportTo",
    "virtual_service_export_to": "defaultVirtualServiceExportTo",
    "destination_rule_export_to": "defaultDestinationRuleExportTo",
}


def object_defaults(document: Mapping[str, Any]) -> tuple[ObjectDefaults, Problems]:
    """What a mesh config says, and (path, message) of what is wrong with it."""
    problems: list[tuple[str, str]] = []
    exports: dict[str, tuple[str, ...]] = {}
    for field, name in _EXPORTS.items():
        value = document.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            problems.append((name, "this must be a list of namespaces."))
        else:
            exports[field] = tuple(value or ()) or EVERYWHERE
    retries, problem = _retries(document.get("defaultHttpRetryPolicy"))
    if problem:
        problems.append(("defaultHttpRetryPolicy", problem))
    return ObjectDefaults(**exports, retries=retries), tuple(problems)


def _retries(value: object) -> tuple[Retries | None, str]:
    try:
        return http_retries(msgspec.convert(value, HTTPRetry | None)), ""
    except msgspec.ValidationError as error:
        return None, f"this is not what the field takes: {error}."


def with_defaults(thing: Thing, obj: core.Object, defaults: ObjectDefaults) -> Thing:
    """An object of the model with what its author left to the mesh config."""
    if defaults == NO_DEFAULTS:
        return thing
    silent, namespace = not core.spec(obj).get("exportTo"), core.namespace(obj)
    made: Any = thing
    match thing:
        case VirtualService():
            if silent:
                made = replace(made, export_to=resolve_export(defaults.virtual_service_export_to, namespace))
            if defaults.retries is not None:
                http = (replace(route, retries=route.retries or defaults.retries) for route in made.http)
                made = replace(made, http=tuple(http))
        case DestinationPolicy() if silent:
            made = replace(made, export_to=resolve_export(defaults.destination_rule_export_to, namespace))
        case ServiceEntry() if silent:
            exports = resolve_export(defaults.service_export_to, namespace)
            made = replace(made, services=tuple(replace(item, export_to=exports) for item in made.services))
    found: Thing = made
    return found
