"""Which virtual host and which route take a request: Envoy's rules."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl

import re2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.type.matcher.v3 import string_pb2

from kaiki.translate.simulation.codes import Code, Parameters
from kaiki.translate.simulation.values import Request


def find_virtual_host(
    table: route_pb2.RouteConfiguration, authority: str
) -> tuple[route_components_pb2.VirtualHost, str] | None:
    """The virtual host of an authority and the domain by which it was found: exact, suffix, prefix, anything."""
    host = authority.lower()
    if table.ignore_port_in_host_matching and not host.endswith("]"):
        host = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
    best: tuple[tuple[int, int], route_components_pb2.VirtualHost, str] | None = None
    for candidate in table.virtual_hosts:
        for domain in candidate.domains:
            rank = _rank(domain.lower(), host)
            if rank is not None and (best is None or rank > best[0]):
                best = rank, candidate, domain
    return (best[1], best[2]) if best else None


def _rank(domain: str, host: str) -> tuple[int, int] | None:
    if domain == host:
        return 3, 0
    if domain == "*":
        return 0, 0
    if domain.startswith("*") and host.endswith(domain[1:]) and len(host) > len(domain) - 1:
        return 2, len(domain)
    if domain.endswith("*") and host.startswith(domain[:-1]) and len(host) > len(domain) - 1:
        return 1, len(domain)
    return None


class Failed(NamedTuple):
    """A condition that does not hold."""

    code: Code
    parameters: Parameters = MappingProxyType({})


def failed_condition(match: route_components_pb2.RouteMatch, request: Request) -> Failed | None:
    """The first condition of a route that a request does not meet; None where all hold.

    A runtime fraction counts as given.
    """
    path, _, query = request.path.partition("?")
    pseudo = {
        ":path": request.path,
        ":method": request.method,
        ":authority": request.host,
        ":scheme": "https" if request.is_tls else "http",
    }
    headers = {**pseudo, **{name.lower(): value for name, value in request.headers.items()}}
    if match.HasField("grpc") and not headers.get("content-type", "").startswith("application/grpc"):
        return Failed(Code.ROUTE_WANTS_GRPC)
    if not _takes_path(match, path):
        return Failed(Code.ROUTE_WANTS_PATH, {"path": path})
    for header in match.headers:
        if not header_fits(header, headers):
            value, named = headers.get(header.name.lower()), {"header": header.name}
            if value is None:
                return Failed(Code.ROUTE_WANTS_HEADER, named)
            return Failed(Code.ROUTE_HEADER_DIFFERS, {**named, "value": value})
    parameters = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    for parameter in match.query_parameters:
        if not _takes_parameter(parameter, parameters):
            given, named = parameters.get(parameter.name), {"parameter": parameter.name}
            if given is None:
                return Failed(Code.ROUTE_WANTS_PARAMETER, named)
            return Failed(Code.ROUTE_PARAMETER_DIFFERS, {**named, "value": given})
    return None


def conditions_of(match: route_components_pb2.RouteMatch) -> str:
    """What a route asks of a request, in signs (see `PARAMETERS`)."""
    path = {
        "prefix": f"{match.prefix}*",
        "path": match.path,
        "safe_regex": f"~{match.safe_regex.regex}",
        "path_separated_prefix": f"{match.path_separated_prefix}/*",
    }.get(match.WhichOneof("path_specifier") or "", "")
    headers = (f"{item.name}:" for item in match.headers)
    return ", ".join((path, *headers, *(f"?{item.name}" for item in match.query_parameters)))


def _takes_path(match: route_components_pb2.RouteMatch, path: str) -> bool:
    sensitive = match.case_sensitive.value if match.HasField("case_sensitive") else True
    fold = (lambda text: text) if sensitive else str.lower
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return bool(fold(path).startswith(fold(match.prefix)))
        case "path":
            return bool(fold(path) == fold(match.path))
        case "safe_regex":
            return fits(match.safe_regex.regex, path)
        case "path_separated_prefix":
            prefix = fold(match.path_separated_prefix)
            return bool(fold(path) == prefix or fold(path).startswith(prefix + "/"))
    return False


def fits(expression: str, text: str) -> bool:
    """Whether an RE2 expression matches all of a text."""
    return re2.fullmatch(expression, text) is not None


def text_fits(matcher: string_pb2.StringMatcher, text: str) -> bool:
    """Whether a string matcher takes a text."""
    fold = str.lower if matcher.ignore_case else str
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return fits(matcher.safe_regex.regex, text)
    wanted = fold(getattr(matcher, kind)) if kind else ""
    given = fold(text)
    checks = {
        "exact": given == wanted,
        "prefix": given.startswith(wanted),
        "suffix": given.endswith(wanted),
        "contains": wanted in given,
    }
    return checks.get(kind or "", False)


def header_fits(matcher: route_components_pb2.HeaderMatcher, headers: dict[str, str]) -> bool:
    """Whether a matcher takes the headers (names in small letters) of a request."""
    value = headers.get(matcher.name.lower())
    kind = matcher.WhichOneof("header_match_specifier")
    if kind == "present_match":
        return bool(((value is not None) == matcher.present_match) != matcher.invert_match)
    if value is None and not matcher.treat_missing_header_as_empty:
        return False
    if kind is None:
        return not matcher.invert_match
    return bool(_value_fits(matcher, kind, value or "") != matcher.invert_match)


def _value_fits(matcher: route_components_pb2.HeaderMatcher, kind: str, value: str) -> bool:
    if kind == "string_match":
        return text_fits(matcher.string_match, value)
    if kind == "range_match":
        bounds = matcher.range_match
        return bool(value.lstrip("-").isdigit() and bounds.start <= int(value) < bounds.end)
    if kind == "safe_regex_match":
        return fits(matcher.safe_regex_match.regex, value)
    wanted = str(getattr(matcher, kind))
    old = {
        "exact_match": value == wanted,
        "prefix_match": value.startswith(wanted),
        "suffix_match": value.endswith(wanted),
        "contains_match": wanted in value,
    }
    return old.get(kind, False)


def _takes_parameter(matcher: route_components_pb2.QueryParameterMatcher, parameters: dict[str, str]) -> bool:
    value = parameters.get(matcher.name)
    if value is None:
        return False
    return text_fits(matcher.string_match, value) if matcher.HasField("string_match") else True
