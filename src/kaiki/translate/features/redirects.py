"""Answers without a destination: redirects and fixed responses; and what a forwarded request's target becomes."""

from __future__ import annotations

import re

from envoy.config.route.v3 import route_components_pb2

from kaiki.model.route import DirectResponse, MatchKind, Redirect, Rewrite, TextMatch
from kaiki.translate.features.route_matching import regex

_CODES = {
    301: route_components_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_components_pb2.RedirectAction.FOUND,
    303: route_components_pb2.RedirectAction.SEE_OTHER,
    307: route_components_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_components_pb2.RedirectAction.PERMANENT_REDIRECT,
}
_WHOLE_PATH = "^.*$"
_PREFIXES = (MatchKind.PREFIX, MatchKind.PATH_PREFIX)


def set_redirect(route: route_components_pb2.Route, redirect: Redirect, listener_port: int) -> None:
    """Make a route answer with a redirect."""
    action = route.redirect
    action.response_code = _CODES.get(redirect.code, route_components_pb2.RedirectAction.MOVED_PERMANENTLY)
    if redirect.path:
        action.path_redirect = redirect.path
    elif redirect.path_prefix == "/" and route.match.path_separated_prefix:
        # Replacing the prefix by "/" alone would turn /prefix/x into //x.
        action.regex_rewrite.pattern.CopyFrom(regex(_without(route.match.path_separated_prefix)))
        action.regex_rewrite.substitution = r"/\2"
    elif redirect.path_prefix:
        action.prefix_rewrite = redirect.path_prefix
    action.host_redirect = redirect.authority
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    if redirect.port:
        action.port_redirect = redirect.port
    elif redirect.keep_port:
        action.port_redirect = listener_port


def _without(prefix: str) -> str:
    """An expression whose second group is what follows a prefix and its slash."""
    return f"^{re.escape(prefix)}(/?)(.*)$"


def set_direct_response(route: route_components_pb2.Route, response: DirectResponse) -> None:
    """Make a route answer with a fixed status and body."""
    route.direct_response.status = response.status
    if response.body:
        route.direct_response.body.inline_bytes = response.body


def set_rewrite(action: route_components_pb2.RouteAction, rewrite: Rewrite | None, uri: TextMatch | None) -> None:
    """Change path and authority. A path replaces what was matched: the prefix, or all of an exact or regex match."""
    if rewrite is None:
        return
    if rewrite.authority:
        action.host_rewrite_literal = rewrite.authority
    if rewrite.path_pattern:
        action.regex_rewrite.pattern.CopyFrom(regex(rewrite.path_pattern))
        action.regex_rewrite.substitution = rewrite.path_substitution
    elif rewrite.path:
        _rewrite_path(action, rewrite.path, uri)


def _rewrite_path(action: route_components_pb2.RouteAction, path: str, uri: TextMatch | None) -> None:
    if uri is not None and uri.kind is MatchKind.REGEX:
        action.regex_rewrite.pattern.CopyFrom(regex(_WHOLE_PATH))
        action.regex_rewrite.substitution = path.replace("\\", "\\\\")
    elif path == "/" and uri is not None and uri.kind in _PREFIXES and not uri.value.endswith("/"):
        # Replacing the prefix by "/" alone would turn /prefix/x into //x.
        flags = "(?i)" if uri.ignore_case else ""
        action.regex_rewrite.pattern.CopyFrom(regex(flags + _without(uri.value)))
        action.regex_rewrite.substitution = r"/\2"
    else:
        action.prefix_rewrite = path
