"""One operation on a list of named things: filters, chains, virtual hosts, routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from kaiki.model.envoy_filter import EnvoyPatch, FilterClass, PatchOperation
from kaiki.translate.features.access import HTTP_FILTER, NETWORK_FILTER
from kaiki.translate.patches.values import merge, parse


def change_list(
    items: Any, kind: type[Message], patch: EnvoyPatch, fits: Callable[[Any], bool], named: bool, last: int = 0
) -> int:
    """Apply a patch to a repeated field; returns how many places it changed.

    `named`: the patch says which item it means. `last` items must stay at the end (a router is the last filter).
    """
    found = list(items)
    where = [number for number, item in enumerate(found) if fits(item)]
    operation = patch.operation
    if operation in (PatchOperation.MERGE, PatchOperation.REMOVE, PatchOperation.REPLACE):
        return _change_each(items, found, where, kind, patch)
    value = parse(patch.value, kind)
    if named and operation in (PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER):
        if not where:
            return 0
        place = where[0] + (operation is PatchOperation.INSERT_AFTER)
    elif operation in (PatchOperation.INSERT_FIRST, PatchOperation.INSERT_BEFORE):
        place = 0
    else:
        place = _place_of_class([item.name for item in found], patch.filter_class, max(len(found) - last, 0))
    _set(items, [*found[:place], value, *found[place:]])
    return 1


def _place_of_class(names: list[str], filter_class: FilterClass, end: int) -> int:
    """Where a filter of a class is added. No filter counts: metrics come of the access log, after all filters."""
    authorizing = [number for number, name in enumerate(names) if name in (HTTP_FILTER, NETWORK_FILTER)]
    if filter_class is FilterClass.AUTHN:
        return authorizing[0] if authorizing else 0
    if filter_class is FilterClass.AUTHZ:
        return authorizing[-1] + 1 if authorizing else 0
    return end


def _change_each(items: Any, found: list[Any], where: list[int], kind: type[Message], patch: EnvoyPatch) -> int:
    if not where:
        return 0
    if patch.operation is PatchOperation.REMOVE:
        _set(items, [item for number, item in enumerate(found) if number not in where])
    elif patch.operation is PatchOperation.REPLACE:
        _set(items, [parse(patch.value, kind) if number in where else item for number, item in enumerate(found)])
    else:
        for number in where:
            merge(found[number], parse(patch.value, kind))
    return len(where)


def _set(items: Any, wanted: list[Any]) -> None:
    copies = []
    for item in wanted:
        copy = type(item)()
        copy.CopyFrom(item)
        copies.append(copy)
    del items[:]
    items.extend(copies)
