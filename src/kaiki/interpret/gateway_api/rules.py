"""Rules of HTTPRoutes and GRPCRoutes → routes of the model, one for each match, with their place in the precedence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from kaiki.interpret.gateway_api.backends import Backends, Origin, Shares, shares
from kaiki.interpret.gateway_api.filters import Entrance, Filters, backend_filters, filters
from kaiki.interpret.gateway_api.objects import Object, Problem, age
from kaiki.model.finding import ObjectRef
from kaiki.model.route import (
    Abort,
    DirectResponse,
    Fault,
    Forward,
    HttpMatch,
    HttpRoute,
    MatchKind,
    NamedMatch,
    Redirect,
    Retries,
    SessionPersistence,
    TextMatch,
)
from kaiki.resources import core
from kaiki.resources.istio.common import seconds

_CANNOT_CONNECT = "connect-failure,refused-stream,unavailable,cancelled"
_GRPC_UNAVAILABLE = 14
_SESSION_NAME = "kaiki-session"
Api = Mapping[str, Any]


class Rule(NamedTuple):
    """One match of one rule, and where it stands among all others of its host."""

    order: tuple[Any, ...]
    route: HttpRoute


class Rules(NamedTuple):
    """All matches of a route, and what is wrong with it."""

    rules: tuple[Rule, ...]
    unresolved: Problem | None
    unsupported: Problem | None


def in_order(rules: Iterable[Rule]) -> tuple[HttpRoute, ...]:
    """The order in which the proxy must try them (the specification's, HTTPRouteRule)."""
    return tuple(rule.route for rule in sorted(rules, key=lambda rule: rule.order))


def route_rules(kind: str, obj: Object, backends: Backends, entrance: Entrance, ports: Iterable[int] = ()) -> Rules:
    """Read an HTTPRoute or GRPCRoute. In the mesh, `ports` are those of its Service it is for (none: all)."""
    source = ObjectRef(kind, core.namespace(obj), core.name(obj))
    found: list[Rule] = []
    problems: list[Problem] = []
    unsupported: Problem | None = None
    for index, rule in enumerate(core.spec(obj).get("rules") or ({},)):
        made, wrong, refused = _rule(source, index, rule, backends, entrance)
        problems += wrong
        unsupported = unsupported or refused
        for place, match in enumerate(rule.get("matches") or ({},)):
            read = _grpc_match(match) if kind == "GRPCRoute" else _http_match(match)
            read = replace(read, index=place if rule.get("matches") else -1)
            for port in ports or (0,):
                order = (*_precedence(read), *age(obj), kind, index, place, port)
                found.append(Rule(order, _with_match(made, read, port)))
    return Rules(tuple(found), problems[0] if problems else None, unsupported)


def _with_match(route: HttpRoute, match: HttpMatch, port: int) -> HttpRoute:
    return replace(route, matches=(replace(match, port=port),))


def _rule(
    source: ObjectRef, index: int, rule: Api, backends: Backends, entrance: Entrance
) -> tuple[HttpRoute, list[Problem], Problem | None]:
    origin = Origin(source.kind, source.namespace)
    done = filters(rule.get("filters") or (), origin, backends, entrance)
    read = [(ref, backend_filters(ref.get("filters") or ())) for ref in rule.get("backendRefs") or ()]
    found = shares([(ref, request, response) for ref, (request, response, _) in read], origin, backends)
    refused = done.unsupported or next((problem for _, (_, _, problem) in read if problem is not None), None)
    timeouts = rule.get("timeouts") or {}
    route = HttpRoute(
        source=source,
        index=index,
        action=_action(source.kind, done, found, refused is not None),
        name=str(rule.get("name") or ""),
        timeout_seconds=seconds(str(timeouts["request"])) if timeouts.get("request") else None,
        retries=_retries(rule.get("retry"), timeouts.get("backendRequest")),
        fault=_failing(source.kind, found) if done.redirect is None and refused is None else None,
        mirrors=done.mirrors,
        cors=done.cors,
        session=_session(rule.get("sessionPersistence")),
        request_headers=done.request_headers,
        response_headers=done.response_headers,
    )
    return route, [*done.problems, *found.problems], refused


def _session(said: Api | None) -> SessionPersistence | None:
    """How a rule's sessions stay at one endpoint (the specification's "Session Persistence")."""
    if not said:
        return None
    permanent = (said.get("cookieConfig") or {}).get("lifetimeType") == "Permanent"
    return SessionPersistence(
        name=str(said.get("sessionName") or _SESSION_NAME),
        by_header=said.get("type") == "Header",
        seconds=seconds(str(said["absoluteTimeout"])) if permanent and said.get("absoluteTimeout") else 0.0,
    )


def _action(kind: str, done: Filters, found: Shares, refused: bool) -> Forward | Redirect | DirectResponse:
    if refused:
        return DirectResponse(500)
    if done.redirect is not None:
        return done.redirect
    if not found.destinations:
        # gRPC clients read 503 as UNAVAILABLE, which is what the specification asks for.
        return DirectResponse(503 if kind == "GRPCRoute" else 500)
    return Forward(found.destinations, done.rewrite)


def _failing(kind: str, found: Shares) -> Fault | None:
    """The share of unusable backends fails, chosen request by request."""
    if not found.failing or not found.destinations:
        return None
    if kind == "GRPCRoute":
        return Fault(abort=Abort(grpc_status=_GRPC_UNAVAILABLE, percent=found.failing_percent))
    return Fault(abort=Abort(http_status=500, percent=found.failing_percent))


def _retries(said: Api | None, per_try: str | None) -> Retries | None:
    patience = seconds(per_try) if per_try else 0.0
    limit = patience or None
    if said is None:
        return Retries(per_try_timeout_seconds=limit) if limit else None
    codes = ",".join(str(code) for code in said.get("codes") or ())
    attempts = said.get("attempts")
    return Retries(
        attempts=2 if attempts is None else int(attempts),
        per_try_timeout_seconds=limit,
        retry_on=f"{_CANNOT_CONNECT},reset,{codes}" if codes else f"{_CANNOT_CONNECT},reset",
        backoff_seconds=seconds(str(said["backoff"])) if said.get("backoff") else None,
    )


def _http_match(match: Api) -> HttpMatch:
    path = match.get("path") or {}
    value = str(path.get("value") or "/")
    kinds = {"Exact": MatchKind.EXACT, "RegularExpression": MatchKind.REGEX}
    kind = kinds.get(str(path.get("type")), MatchKind.PATH_PREFIX)
    if kind is MatchKind.PATH_PREFIX:
        value = value.rstrip("/") or "/"
    return HttpMatch(
        uri=TextMatch(kind, value),
        method=TextMatch(MatchKind.EXACT, str(match["method"])) if match.get("method") else None,
        headers=_named(match.get("headers") or (), ignore_case=True),
        query_parameters=_named(match.get("queryParams") or (), ignore_case=False),
    )


def _named(items: Iterable[Api], ignore_case: bool) -> tuple[NamedMatch, ...]:
    """Conditions by name; of several with one name only the first counts."""
    found: dict[str, NamedMatch] = {}
    for item in items:
        kind = MatchKind.REGEX if item.get("type") == "RegularExpression" else MatchKind.EXACT
        name = str(item["name"])
        found.setdefault(
            name.lower() if ignore_case else name, NamedMatch(name, TextMatch(kind, str(item.get("value") or "")))
        )
    return tuple(found.values())


def _grpc_match(match: Api) -> HttpMatch:
    return HttpMatch(uri=_grpc_path(match.get("method") or {}), headers=_named(match.get("headers") or (), True))


def _grpc_path(method: Api) -> TextMatch:
    service, name = str(method.get("service") or ""), str(method.get("method") or "")
    if method.get("type") == "RegularExpression":
        return TextMatch(MatchKind.REGEX, f"/{service or '[^/]+'}/{name or '[^/]+'}")
    if service and name:
        return TextMatch(MatchKind.EXACT, f"/{service}/{name}")
    if service:
        return TextMatch(MatchKind.PATH_PREFIX, f"/{service}")
    if name:
        return TextMatch(MatchKind.REGEX, f"/[^/]+/{re.escape(name)}")
    return TextMatch(MatchKind.PATH_PREFIX, "/")


_RANKS = {MatchKind.EXACT: 0, MatchKind.REGEX: 1, MatchKind.PATH_PREFIX: 2}


def _precedence(match: HttpMatch) -> tuple[int, int, int, int, int]:
    """Exact paths, then expressions (which would else be hidden by `/`), then the longest prefix, and so on."""
    uri = match.uri or TextMatch(MatchKind.PATH_PREFIX, "/")
    return (
        _RANKS.get(uri.kind, 2),
        -len(uri.value),
        0 if match.method is not None else 1,
        -len(match.headers),
        -len(match.query_parameters),
    )


NOT_FOUND = DirectResponse(404)


def not_found(source: ObjectRef) -> HttpRoute:
    """What a listener answers for a host of its own that no route is for."""
    return HttpRoute(source, 0, NOT_FOUND)
