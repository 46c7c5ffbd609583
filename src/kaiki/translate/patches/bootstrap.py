"""Patches of what a proxy starts with. It reads that once, so a patch reaches the pods that are made after it.

before injection      the patches as such are shown to an Envoy (`apply_patches`); refused ones are marked so
injection             with_patches(bootstrap, patches) → the bootstrap; the pod's annotation keeps the editions
the running proxies   bootstrap_results(…) → which of them were started with a patch as it is now
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf import json_format

from kaiki.model.envoy_filter import EnvoyFilter, EnvoyPatch, PatchResult, PatchTarget
from kaiki.model.proxy import Proxy
from kaiki.translate.patches.apply import chosen_filters, chosen_patches
from kaiki.translate.patches.values import BadValue, merge, parse


def bootstrap_filters(filters: Iterable[EnvoyFilter], proxy: Proxy) -> tuple[EnvoyFilter, ...]:
    """The EnvoyFilters a proxy that starts now is started with, in the order they are applied."""
    return tuple(item for item in chosen_filters(filters, proxy) if _patches((item,), proxy))


def bootstrap_editions(filters: Iterable[EnvoyFilter], proxy: Proxy) -> tuple[str, ...]:
    """The same, each as its `bootstrap_edition`."""
    return tuple(item.bootstrap_edition for item in bootstrap_filters(filters, proxy))


def bootstrap_results(
    filters: tuple[EnvoyFilter, ...], proxy: Proxy, started_with: tuple[str, ...]
) -> Iterator[PatchResult]:
    """What became of each patch of a running proxy's bootstrap."""
    for item in filters:
        for patch in _patches((item,), proxy):
            if error := _problem(patch):
                yield PatchResult(patch.source, patch.index, error=error)
            elif item.bootstrap_edition in started_with:
                yield PatchResult(patch.source, patch.index, matched=1)
            else:
                yield PatchResult(patch.source, patch.index, waits=True)


def with_patches(document: Mapping[str, Any], filters: Iterable[EnvoyFilter], proxy: Proxy) -> Mapping[str, Any]:
    """A bootstrap with the patches for a proxy; those that cannot be read are left out.

    The document is an argument of a container, in which Kubernetes expands `$(NAME)`: what a patch says is escaped.
    """
    return apply_patches(document, _patches(filters, proxy))


def apply_patches(document: Mapping[str, Any], patches: Iterable[EnvoyPatch]) -> Mapping[str, Any]:
    """A bootstrap with those of the patches that can be read and are not refused."""
    patches = [patch for patch in patches if not _problem(patch)]
    if not patches:
        return document
    message = parse(document, bootstrap_pb2.Bootstrap)
    for patch in patches:
        merge(message, parse(_escaped(patch.value), bootstrap_pb2.Bootstrap))
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _patches(filters: Iterable[EnvoyFilter], proxy: Proxy) -> tuple[EnvoyPatch, ...]:
    return tuple(patch for patch in chosen_patches(filters, proxy) if patch.target is PatchTarget.BOOTSTRAP)


def _problem(patch: EnvoyPatch) -> str:
    """Why a value is no bootstrap, or none that Envoy starts with; empty if it is one."""
    if patch.refused:
        return patch.refused
    try:
        parse(patch.value, bootstrap_pb2.Bootstrap)
    except BadValue as error:
        return str(error)
    return ""


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
