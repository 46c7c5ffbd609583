"""Route tables: every route of every virtual host, what it takes and what it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from envoy.config.route.v3 import route_components_pb2, route_pb2

from kaiki.console.effective.origins import Origins, first
from kaiki.console.effective.resources import ToldResource
from kaiki.console.effective.rows import Condition, Origin, Retries, RouteRow, Target
from kaiki.model.proxy import ROUTE_TYPE
from kaiki.translate.decode import percent_of, redirect_code, seconds_of

_DEFAULT_TIMEOUT_SECONDS = 15.0
"""Envoy's own, of a route that names none."""


def as_table(told: ToldResource) -> ToldResource:
    """A virtual host that was told by itself, as the table it belongs to with nothing else in it."""
    host = route_components_pb2.VirtualHost.FromString(told.body)
    table, _, host.name = told.name.rpartition("/")
    body = route_pb2.RouteConfiguration(name=table, virtual_hosts=[host]).SerializeToString()
    return replace(told, type_url=ROUTE_TYPE, name=table, body=body)


def read_table(told: ToldResource, origins: Origins) -> Iterator[RouteRow]:
    """The routes of one table, in their order."""
    table = route_pb2.RouteConfiguration.FromString(told.body)
    for host in table.virtual_hosts:
        for position, route in enumerate(host.routes):
            yield _read_route(told, host, position, route, origins)


def _read_route(
    told: ToldResource,
    host: route_components_pb2.VirtualHost,
    position: int,
    route: route_components_pb2.Route,
    origins: Origins,
) -> RouteRow:
    does, says = _does(route)
    action = route.route
    targets = tuple(_targets(action)) if does == "forward" else ()
    found, count = first(
        [
            *origins.marked(route.metadata),
            *origins.marked(host.metadata),
            *origins.of_clusters(one.cluster for one in targets),
            *origins.changed_by(told.touched),
        ]
    )
    forwards = does == "forward"
    return RouteRow(
        table=told.name,
        virtual_host=host.name,
        domains=tuple(host.domains),
        name=route.name,
        position=position,
        matches=tuple(_conditions(route.match)),
        does=does,
        says=says,
        targets=targets,
        mirrors=tuple(_mirrors(action)) if forwards else (),
        timeout_seconds=_timeout(action) if forwards else None,
        retries=_retries(action, host) if forwards else None,
        features=tuple(_features(route)),
        origins=found,
        origin_count=count,
        state=told.state,
    )


def made_of(rows: Iterable[RouteRow]) -> dict[str, tuple[Origin, ...]]:
    """Of each table the objects behind its routes."""
    found: dict[str, dict[Origin, None]] = {}
    for row in rows:
        found.setdefault(row.table, {}).update(dict.fromkeys(row.origins))
    return {table: tuple(origins) for table, origins in found.items()}


def _does(route: route_components_pb2.Route) -> tuple[str, str]:
    match route.WhichOneof("action"):
        case "route":
            return "forward", ""
        case "redirect":
            to = route.redirect
            scheme = to.scheme_redirect or ("https" if to.https_redirect else "")
            port = f":{to.port_redirect}" if to.port_redirect else ""
            place = f"{scheme}://" if scheme else ""
            path = to.path_redirect or to.prefix_rewrite
            return "redirect", f"{redirect_code(to)} {place}{to.host_redirect}{port}{path}".strip()
        case "direct_response":
            return "answer", str(route.direct_response.status)
    return "other", str(route.WhichOneof("action") or "")


def _targets(action: route_components_pb2.RouteAction) -> Iterable[Target]:
    if action.cluster:
        yield Target(action.cluster)
    elif action.cluster_header:
        yield Target(f"[{action.cluster_header}]")
    clusters = action.weighted_clusters.clusters
    total = sum(item.weight.value for item in clusters) or 1
    for item in clusters:
        yield Target(item.name, 100 * item.weight.value / total)


def _mirrors(action: route_components_pb2.RouteAction) -> Iterable[Target]:
    for item in action.request_mirror_policies:
        share = 100.0
        if item.HasField("runtime_fraction"):
            share = percent_of(item.runtime_fraction.default_value)
        yield Target(item.cluster, share)


def _timeout(action: route_components_pb2.RouteAction) -> float:
    """Zero is without a limit."""
    return seconds_of(action.timeout) if action.HasField("timeout") else _DEFAULT_TIMEOUT_SECONDS


def _retries(action: route_components_pb2.RouteAction, host: route_components_pb2.VirtualHost) -> Retries | None:
    own = action.HasField("retry_policy")
    policy = action.retry_policy if own else host.retry_policy
    if not own and not host.HasField("retry_policy"):
        return None
    count = policy.num_retries.value if policy.HasField("num_retries") else 1
    seconds = seconds_of(policy.per_try_timeout) if policy.HasField("per_try_timeout") else None
    return Retries(count, policy.retry_on, seconds)


def _features(route: route_components_pb2.Route) -> Iterable[str]:
    if "envoy.filters.http.fault" in route.typed_per_filter_config:
        yield "fault"
    if "envoy.filters.http.cors" in route.typed_per_filter_config:
        yield "cors"
    action = route.route
    if action.prefix_rewrite or action.HasField("regex_rewrite") or action.host_rewrite_literal:
        yield "rewrite"
    if route.request_headers_to_add or route.request_headers_to_remove:
        yield "requestHeaders"
    if route.response_headers_to_add or route.response_headers_to_remove:
        yield "responseHeaders"


def _conditions(match: route_components_pb2.RouteMatch) -> Iterable[Condition]:
    match match.WhichOneof("path_specifier"):
        case "prefix":
            yield Condition("prefix", match.prefix)
        case "path":
            yield Condition("path", match.path)
        case "safe_regex":
            yield Condition("regex", match.safe_regex.regex)
        case "path_separated_prefix":
            yield Condition("prefix", f"{match.path_separated_prefix}/")
    if match.HasField("grpc"):
        yield Condition("grpc", "")
    for header in match.headers:
        yield Condition("header", f"{header.name} {_said(header)}".strip())
    for parameter in match.query_parameters:
        yield Condition("query", f"{parameter.name} {_text(parameter.string_match)}".strip())
    if match.HasField("runtime_fraction"):
        yield Condition("share", f"{percent_of(match.runtime_fraction.default_value):g} %")


def _said(header: route_components_pb2.HeaderMatcher) -> str:
    kind = header.WhichOneof("header_match_specifier")
    text = _text(header.string_match) if kind == "string_match" else "" if kind == "present_match" else str(kind or "")
    negative = header.invert_match != (kind == "present_match" and not header.present_match)
    return f"≠ {text}".strip() if negative else text


def _text(matcher: object) -> str:
    kind = matcher.WhichOneof("match_pattern")  # type: ignore[attr-defined]
    if kind == "safe_regex":
        return f"~ {matcher.safe_regex.regex}"  # type: ignore[attr-defined]
    marks = {"exact": "= {}", "prefix": "= {}*", "suffix": "= *{}", "contains": "= *{}*"}
    return marks[kind].format(getattr(matcher, kind)) if kind in marks else ""
