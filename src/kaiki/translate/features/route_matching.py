"""Which requests a route takes: path, method, headers, query."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from kaiki.model.route import HttpMatch, MatchKind, NamedMatch, TextMatch


def route_match(match: HttpMatch) -> route_components_pb2.RouteMatch:
    """Envoy's form of a match; what only chooses proxies (gateways, source labels, port) has been judged before."""
    message = route_components_pb2.RouteMatch()
    _set_path(message, match.uri)
    for pseudo, text in ((":scheme", match.scheme), (":method", match.method), (":authority", match.authority)):
        if text is not None:
            _add_header(message, NamedMatch(pseudo, text))
    for header in match.headers:
        if header.name:
            _add_header(message, header)
    for parameter in match.query_parameters:
        if parameter.name:
            _add_parameter(message, parameter)
    return message


def set_text(matcher: string_pb2.StringMatcher, text: TextMatch) -> None:
    """Fill a string matcher; a PRESENT text matches anything."""
    match text.kind:
        case MatchKind.EXACT:
            matcher.exact = text.value
        case MatchKind.PREFIX | MatchKind.PATH_PREFIX:
            matcher.prefix = text.value
        case MatchKind.REGEX:
            matcher.safe_regex.regex = text.value
        case MatchKind.PRESENT:
            matcher.safe_regex.regex = ".*"
    if text.ignore_case:
        matcher.ignore_case = True


def regex(expression: str, ignore_case: bool = False) -> regex_pb2.RegexMatcher:
    """An RE2 expression; RE2 has its own flag for case."""
    return regex_pb2.RegexMatcher(regex=f"(?i){expression}" if ignore_case else expression)


def _set_path(message: route_components_pb2.RouteMatch, text: TextMatch | None) -> None:
    if text is None or text.kind is MatchKind.PRESENT:
        message.prefix = "/"
    elif text.kind is MatchKind.EXACT:
        message.path = text.value
    elif text.kind is MatchKind.PREFIX or (text.kind is MatchKind.PATH_PREFIX and not text.value.strip("/")):
        message.prefix = text.value if text.kind is MatchKind.PREFIX else "/"
    elif text.kind is MatchKind.PATH_PREFIX:
        message.path_separated_prefix = text.value.rstrip("/")
    else:
        message.safe_regex.CopyFrom(regex(text.value, text.ignore_case))
    if text is not None and text.ignore_case and text.kind in (MatchKind.EXACT, MatchKind.PREFIX):
        message.case_sensitive.value = False


def _add_header(message: route_components_pb2.RouteMatch, condition: NamedMatch) -> None:
    header = message.headers.add(name=condition.name, invert_match=condition.invert)
    if condition.match.kind is MatchKind.PRESENT:
        header.present_match = True
    else:
        set_text(header.string_match, condition.match)
        # A header that is not there does not have the value; Envoy would call that no match, inverted or not.
        header.treat_missing_header_as_empty = condition.invert


def _add_parameter(message: route_components_pb2.RouteMatch, condition: NamedMatch) -> None:
    parameter = message.query_parameters.add(name=condition.name)
    if condition.match.kind is MatchKind.PRESENT:
        parameter.present_match = True
    else:
        set_text(parameter.string_match, condition.match)


def applies(match: HttpMatch, gateway: str, namespace: str, labels: Iterable[tuple[str, str]], port: int) -> bool:
    """Whether a match exists at all in a proxy, for a listener's port."""
    if match.gateways and gateway not in match.gateways:
        return False
    if match.port and match.port != port:
        return False
    if match.source_namespace and match.source_namespace != namespace:
        return False
    return set(match.source_labels) <= set(labels)


def takes_everything(match: HttpMatch) -> bool:
    """Whether a match lets every request of its port through: any path, and no condition on anything else."""
    uri = match.uri
    if uri is not None and not (uri.kind is MatchKind.PREFIX and uri.value == "/"):
        return False
    return not any((match.scheme, match.method, match.authority, match.headers, match.query_parameters))
