"""Header changes of a route or of one of its destinations."""

from __future__ import annotations

from typing import Protocol

from envoy.config.core.v3 import base_pb2
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer

from kaiki.model.route import HeaderChanges

_AUTHORITY = ("host", ":authority")


class HeaderTarget(Protocol):
    """A message that can change headers: a Route or a ClusterWeight."""

    request_headers_to_add: RepeatedCompositeFieldContainer[base_pb2.HeaderValueOption]
    request_headers_to_remove: RepeatedScalarFieldContainer[str]
    response_headers_to_add: RepeatedCompositeFieldContainer[base_pb2.HeaderValueOption]
    response_headers_to_remove: RepeatedScalarFieldContainer[str]


def set_header_changes(target: HeaderTarget, request: HeaderChanges, response: HeaderChanges) -> None:
    """Put the changes of requests and responses into a message."""
    target.request_headers_to_add.extend(_options(request))
    target.request_headers_to_remove.extend(key for key in request.remove if _is_plain(key))
    target.response_headers_to_add.extend(_options(response))
    target.response_headers_to_remove.extend(key for key in response.remove if _is_plain(key))


def _options(changes: HeaderChanges) -> list[base_pb2.HeaderValueOption]:
    append, replace = (
        base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
        base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    wanted = [(*pair, replace) for pair in changes.set] + [(*pair, append) for pair in changes.add]
    return [_option(key, value, action) for key, value, action in wanted if _is_plain(key)]


def _is_plain(key: str) -> bool:
    """Envoy refuses to change `Host` and pseudo headers as headers; the authority is rewritten instead."""
    return bool(key) and not key.startswith(":") and key.lower() not in _AUTHORITY


def authority_change(changes: HeaderChanges) -> str:
    """What a request's authority is set to by header changes; empty if it is left alone."""
    return next((value for key, value in changes.set if key.lower() in _AUTHORITY), "")


def _option(
    key: str, value: str, action: base_pb2.HeaderValueOption.HeaderAppendAction.ValueType
) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=key, value=value), append_action=action)
