"""Requests of one session to one endpoint: Envoy's stateful sessions, switched on by the routes that keep them."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2

from kaiki.model.route import SessionPersistence
from kaiki.translate.encode import duration, pack

SESSION_FILTER = "envoy.filters.http.stateful_session"
SESSION_FILTER_TYPE = "envoy.extensions.filters.http.stateful_session.v3.StatefulSession"


def set_session(route: route_components_pb2.Route, session: SessionPersistence | None) -> None:
    """Make a route keep its sessions. An endpoint that is gone is replaced by another."""
    if session is None:
        return
    from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2
    from envoy.extensions.http.stateful_session.cookie.v3 import cookie_pb2
    from envoy.extensions.http.stateful_session.header.v3 import header_pb2

    settings = stateful_session_pb2.StatefulSessionPerRoute()
    state = settings.stateful_session.session_state
    if session.by_header:
        state.name = "envoy.http.stateful_session.header"
        state.typed_config.CopyFrom(pack(header_pb2.HeaderBasedSessionState(name=session.name)))
    else:
        cookie = cookie_pb2.CookieBasedSessionState()
        cookie.cookie.name, cookie.cookie.path = session.name, session.path
        if session.seconds:
            cookie.cookie.ttl.CopyFrom(duration(session.seconds))
        state.name = "envoy.http.stateful_session.cookie"
        state.typed_config.CopyFrom(pack(cookie))
    route.typed_per_filter_config[SESSION_FILTER].CopyFrom(pack(settings))
