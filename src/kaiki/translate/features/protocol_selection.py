"""Telling the server's sidecar, in the TLS hello, which protocol a connection carries.

Where a cluster speaks its port's own protocol its TLS context says so. Where requests keep the protocol of the client,
it is known only per request: an HTTP filter, switched on by the routes that need it, puts the right ALPN into filter
state, from which the connection pool takes it.
"""

from __future__ import annotations

from functools import cache

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from google.protobuf import any_pb2

from kaiki.translate.encode import pack
from kaiki.translate.transport_sockets import ALPN_HTTP1, ALPN_HTTP2

PROTOCOL_FILTER = "kaiki.protocol_selection"
_FILTER_STATE = "envoy.network.application_protocols"


@cache
def protocol_filter() -> http_connection_manager_pb2.HttpFilter:
    """The filter, off unless a route switches it on."""
    from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
    from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2

    value = value_pb2.FilterStateValue(
        object_key=_FILTER_STATE,
        factory_key=_FILTER_STATE,
        shared_with_upstream=value_pb2.FilterStateValue.ONCE,
    )
    http1, http2 = ",".join(ALPN_HTTP1), ",".join(ALPN_HTTP2)
    value.format_string.text_format_source.inline_string = (
        f"%CEL(request.protocol == 'HTTP/2' ? '{http2}' : '{http1}')%"
    )
    config = set_filter_state_pb2.Config(on_request_headers=[value])
    return http_connection_manager_pb2.HttpFilter(name=PROTOCOL_FILTER, typed_config=pack(config), disabled=True)


@cache
def _switched_on() -> any_pb2.Any:
    return pack(route_components_pb2.FilterConfig(disabled=False, config=protocol_filter().typed_config))


def follow_client_protocol(route: route_components_pb2.Route) -> None:
    """Switch the filter on for a route."""
    route.typed_per_filter_config[PROTOCOL_FILTER].CopyFrom(_switched_on())
