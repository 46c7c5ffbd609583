"""Header changes of a route or of one of its destinations."""

from __future__ import annotations

from typing import Protocol

from envoy.config.core.v3 import base_pb2
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer

from kaiki.model.route import HeaderChanges

_PSEUDO = {"host": ":authority"}


class HeaderTarget(Protocol):
    """A message that can change headers: a Route or a ClusterWeight."""

    request_headers_to_add: RepeatedCompositeFieldContainer[base_pb2.HeaderValueOption]
    request_headers_to_remove: RepeatedScalarFieldContainer[str]
    response_headers_to_add: RepeatedCompositeFieldContainer[base_pb2.HeaderValueOption]
    response_headers_to_remove: RepeatedScalarFieldContainer[str]


def set_header_changes(target: HeaderTarget, request: HeaderChanges, response: HeaderChanges) -> None:
    """Put the changes of requests and responses into a message."""
    target.request_headers_to_add.extend(_options(request))
    target.request_headers_to_remove.extend(request.remove)
    target.response_headers_to_add.extend(_options(response))
    target.response_headers_to_remove.extend(response.remove)


def _options(changes: HeaderChanges) -> list[base_pb2.HeaderValueOption]:
    append, replace = (
        base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
        base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return [_option(key, value, replace) for key, value in changes.set] + [
        _option(key, value, append) for key, value in changes.add
    ]


def _option(
    key: str, value: str, action: base_pb2.HeaderValueOption.HeaderAppendAction.ValueType
) -> base_pb2.HeaderValueOption:
    name = _PSEUDO.get(key.lower(), key)
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value), append_action=action)
