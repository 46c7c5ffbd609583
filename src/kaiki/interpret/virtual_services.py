"""VirtualService specs → routes of the model. Depends on one object alone; `references` compares it with the mesh."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from kaiki.interpret.hosts import resolve_export, resolve_gateway, resolve_host
from kaiki.model import route as model
from kaiki.model.finding import ObjectRef
from kaiki.resources.istio import virtual_service as api
from kaiki.resources.istio.common import Percent, StringMatch, optional_seconds, seconds

_GRPC_STATUS = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}


def virtual_service(source: ObjectRef, spec: api.VirtualServiceSpec, created: str) -> model.VirtualService:
    """Translate one spec; names are made full relative to the object's namespace."""
    namespace = source.namespace
    return model.VirtualService(
        source=source,
        hosts=tuple(dict.fromkeys(resolve_host(host, namespace) for host in spec.hosts if host)),
        gateways=_gateways(spec.gateways, namespace) or (model.MESH_GATEWAY,),
        http=tuple(_http_route(source, index, rule) for index, rule in enumerate(spec.http)),
        tls=tuple(
            model.ConnectionRoute(
                source, index, _shares(rule.route, namespace), tuple(_tls_match(m, namespace) for m in rule.match)
            )
            for index, rule in enumerate(spec.tls)
        ),
        tcp=tuple(
            model.ConnectionRoute(
                source, index, _shares(rule.route, namespace), tuple(_tcp_match(m, namespace) for m in rule.match)
            )
            for index, rule in enumerate(spec.tcp)
        ),
        export_to=resolve_export(spec.export_to, namespace),
        created=created,
    )


def _gateways(names: Iterable[str], namespace: str) -> tuple[str, ...]:
    return tuple(resolve_gateway(name, namespace) for name in names)


def _http_route(source: ObjectRef, index: int, rule: api.HTTPRoute) -> model.HttpRoute:
    headers = rule.headers or api.Headers()
    return model.HttpRoute(
        source=source,
        index=index,
        action=_action(rule, source.namespace),
        matches=tuple(_http_match(item, source.namespace, place) for place, item in enumerate(rule.match)),
        name=rule.name,
        timeout_seconds=optional_seconds(rule.timeout),
        retries=http_retries(rule.retries),
        fault=_fault(rule.fault),
        mirrors=_mirrors(rule, source.namespace),
        cors=_cors(rule.cors_policy),
        request_headers=_header_changes(headers.request),
        response_headers=_header_changes(headers.response),
    )


def _action(rule: api.HTTPRoute, namespace: str) -> model.Action:
    if rule.delegate is not None:
        return model.Delegated(rule.delegate.namespace or namespace, rule.delegate.name, _rewrite(rule.rewrite))
    if rule.redirect is not None:
        return _redirect(rule.redirect)
    if rule.direct_response is not None:
        return model.DirectResponse(rule.direct_response.status, _body(rule.direct_response.body))
    shares = tuple(
        model.WeightedDestination(
            destination=_destination(item.destination, namespace),
            weight=item.weight,
            request_headers=_header_changes(item.headers.request if item.headers else None),
            response_headers=_header_changes(item.headers.response if item.headers else None),
        )
        for item in rule.route
    )
    return model.Forward(shares, _rewrite(rule.rewrite))


def _body(body: api.HTTPBody | None) -> bytes:
    if body is None:
        return b""
    if body.bytes is not None:
        return base64.b64decode(body.bytes)
    return (body.string or "").encode()


def _redirect(redirect: api.HTTPRedirect) -> model.Redirect:
    return model.Redirect(
        path=redirect.uri,
        authority=redirect.authority,
        scheme=redirect.scheme,
        port=redirect.port or 0,
        keep_port=redirect.derive_port == "FROM_REQUEST_PORT",
        code=redirect.redirect_code or 301,
    )


def _rewrite(rewrite: api.HTTPRewrite | None) -> model.Rewrite | None:
    if rewrite is None:
        return None
    pattern = rewrite.uri_regex_rewrite or api.RegexRewrite()
    return model.Rewrite(rewrite.uri, rewrite.authority, pattern.match, pattern.rewrite)


def _destination(destination: api.Destination, namespace: str) -> model.Destination:
    port = destination.port.number if destination.port else 0
    return model.Destination(resolve_host(destination.host, namespace), destination.subset, port)


def _shares(items: Iterable[api.RouteDestination], namespace: str) -> tuple[model.WeightedDestination, ...]:
    return tuple(model.WeightedDestination(_destination(item.destination, namespace), item.weight) for item in items)


def _text(match: StringMatch | None, ignore_case: bool = False) -> model.TextMatch | None:
    if match is None:
        return None
    if match.exact is not None:
        return model.TextMatch(model.MatchKind.EXACT, match.exact, ignore_case)
    if match.prefix is not None:
        return model.TextMatch(model.MatchKind.PREFIX, match.prefix, ignore_case)
    if match.regex is not None:
        return model.TextMatch(model.MatchKind.REGEX, match.regex, ignore_case)
    return model.TextMatch(model.MatchKind.PRESENT)


def _named(matches: Mapping[str, StringMatch], invert: bool = False) -> tuple[model.NamedMatch, ...]:
    return tuple(
        model.NamedMatch(name, _text(matches[name]) or model.TextMatch(model.MatchKind.PRESENT), invert)
        for name in sorted(matches)
    )


def _pairs(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def _http_match(match: api.HTTPMatchRequest, namespace: str, index: int) -> model.HttpMatch:
    return model.HttpMatch(
        name=match.name,
        uri=_text(match.uri, match.ignore_uri_case),
        scheme=_text(match.scheme),
        method=_text(match.method),
        authority=_text(match.authority),
        headers=_named(match.headers) + _named(match.without_headers, invert=True),
        query_parameters=_named(match.query_params),
        port=match.port,
        source_labels=_pairs(match.source_labels),
        source_namespace=match.source_namespace,
        gateways=_gateways(match.gateways, namespace),
        statistics_prefix=match.stat_prefix,
        index=index,
    )


def _tls_match(match: api.TLSMatchAttributes, namespace: str) -> model.ConnectionMatch:
    return model.ConnectionMatch(
        sni_hosts=match.sni_hosts,
        destination_subnets=match.destination_subnets,
        port=match.port,
        source_labels=_pairs(match.source_labels),
        source_namespace=match.source_namespace,
        gateways=_gateways(match.gateways, namespace),
    )


def _tcp_match(match: api.L4MatchAttributes, namespace: str) -> model.ConnectionMatch:
    return model.ConnectionMatch(
        destination_subnets=match.destination_subnets,
        source_subnet=match.source_subnet,
        port=match.port,
        source_labels=_pairs(match.source_labels),
        source_namespace=match.source_namespace,
        gateways=_gateways(match.gateways, namespace),
    )


def _header_changes(operations: api.HeaderOperations | None) -> model.HeaderChanges:
    if operations is None:
        return model.NO_HEADER_CHANGES
    return model.HeaderChanges(_pairs(operations.set), _pairs(operations.add), tuple(operations.remove))


def http_retries(retries: api.HTTPRetry | None) -> model.Retries | None:
    """How requests are tried again, as a route or the mesh config says it."""
    if retries is None:
        return None
    return model.Retries(
        attempts=retries.attempts,
        per_try_timeout_seconds=optional_seconds(retries.per_try_timeout),
        retry_on=retries.retry_on,
        retry_remote_localities=retries.retry_remote_localities,
        ignore_previous_hosts=retries.retry_ignore_previous_hosts is not False,
        backoff_seconds=optional_seconds(retries.backoff),
    )


def _percent(percentage: Percent | None, old: int | None = None) -> float:
    """A share in percent; the older whole number counts only where the newer field is absent; absent both: all."""
    if percentage is not None:
        return percentage.value
    return 100.0 if old is None else float(old)


def _fault(fault: api.HTTPFaultInjection | None) -> model.Fault | None:
    if fault is None:
        return None
    delay = abort = None
    if fault.delay is not None and fault.delay.fixed_delay is not None:
        delay = model.Delay(seconds(fault.delay.fixed_delay), _percent(fault.delay.percentage, fault.delay.percent))
    if fault.abort is not None:
        abort = _abort(fault.abort)
    return model.Fault(delay, abort) if delay or abort else None


def _abort(abort: api.FaultAbort) -> model.Abort | None:
    if abort.grpc_status is not None:
        name = abort.grpc_status.upper()
        code = int(name) if name.isdigit() else _GRPC_STATUS.get(name, _GRPC_STATUS["UNKNOWN"])
        return model.Abort(grpc_status=code, percent=_percent(abort.percentage))
    if abort.http_status is not None:
        return model.Abort(http_status=abort.http_status, percent=_percent(abort.percentage))
    return None


def _mirrors(rule: api.HTTPRoute, namespace: str) -> tuple[model.Mirror, ...]:
    mirrors = [
        model.Mirror(_destination(item.destination, namespace), _percent(item.percentage)) for item in rule.mirrors
    ]
    if rule.mirror is not None:
        percent = _percent(rule.mirror_percentage, rule.mirror_percent)
        mirrors.append(model.Mirror(_destination(rule.mirror, namespace), percent))
    return tuple(mirrors)


def _cors(policy: api.CorsPolicy | None) -> model.Cors | None:
    if policy is None:
        return None
    origins = [model.TextMatch(model.MatchKind.EXACT, origin) for origin in policy.allow_origin]
    origins += [text for item in policy.allow_origins if (text := _text(item))]
    age = optional_seconds(policy.max_age)
    preflights = {"FORWARD": True, "IGNORE": False}
    return model.Cors(
        allow_origins=tuple(origins),
        allow_methods=policy.allow_methods,
        allow_headers=policy.allow_headers,
        expose_headers=policy.expose_headers,
        max_age_seconds=None if age is None else int(age),
        allow_credentials=policy.allow_credentials,
        forward_unmatched_preflights=preflights.get(policy.unmatched_preflights or ""),
    )
