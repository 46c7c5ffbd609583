"""VirtualService: how requests for a host are routed (Istio, "Virtual Service" reference)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kaiki.resources.istio.common import (
    ApiType,
    Duration,
    Percent,
    Percentage,
    PortNumber,
    PortSelector,
    StringMatch,
    Unsigned,
)

Weight = Annotated[int, Meta(ge=0, le=2147483647)]


class Destination(ApiType, frozen=True):
    """Where traffic goes: a host of the registry, one of its subsets, one of its ports."""

    host: str
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(ApiType, frozen=True):
    """Headers to set (replace), add (append) and remove."""

    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class Headers(ApiType, frozen=True):
    """Changes to the headers of requests and of responses."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(ApiType, frozen=True):
    """One share of a route's traffic. Weights are relative; a single destination needs none."""

    destination: Destination
    weight: Weight = 0
    headers: Headers | None = None


class RouteDestination(ApiType, frozen=True):
    """One share of the connections of a TLS or TCP route."""

    destination: Destination
    weight: Weight = 0


class Delegate(ApiType, frozen=True):
    """Another VirtualService, without hosts, that holds the routes for what this rule matches."""

    name: str = ""
    namespace: str = ""


class HTTPMatchRequest(ApiType, frozen=True):
    """Conditions on a request; all that are set must hold."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    port: PortNumber = 0
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    query_params: dict[str, StringMatch] = {}
    ignore_uri_case: bool = False
    without_headers: dict[str, StringMatch] = {}
    source_namespace: str = ""
    stat_prefix: str = ""


class HTTPRedirect(ApiType, frozen=True):
    """Answer with a redirect. `%PREFIX()%`-style prefix replacement is not part of this API."""

    ONE_OF = (("port", "derivePort"),)

    uri: str = ""
    authority: str = ""
    port: PortNumber | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str = ""
    redirect_code: Unsigned = 0


class HTTPBody(ApiType, frozen=True):
    """A response body, as text or as base64."""

    ONE_OF = (("string", "bytes"),)

    string: str | None = None
    bytes: str | None = None


class HTTPDirectResponse(ApiType, frozen=True):
    """Answer with a fixed status and body."""

    status: Annotated[int, Meta(ge=200, le=599)]
    body: HTTPBody | None = None


class RegexRewrite(ApiType, frozen=True):
    """Rewrite the path by an RE2 expression and a substitution with `\\1`-style groups."""

    match: str = ""
    rewrite: str = ""


class HTTPRewrite(ApiType, frozen=True):
    """What the path (or its matched prefix) and the authority become before the request is forwarded."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(ApiType, frozen=True):
    """When and how often a failed request is tried again."""

    attempts: Annotated[int, Meta(ge=0, le=2147483647)] = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class CorsPolicy(ApiType, frozen=True):
    """Cross-origin resource sharing."""

    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] | None = None


class FaultDelay(ApiType, frozen=True):
    """Hold a share of the requests for a while."""

    ONE_OF = (("fixedDelay", "exponentialDelay"),)
    NOT_IN_FORCE = {"exponentialDelay": "Say fixedDelay (Istio knows no other either)."}

    percent: Percentage | None = None
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percent | None = None


class FaultAbort(ApiType, frozen=True):
    """Answer a share of the requests with an error."""

    ONE_OF = (("httpStatus", "grpcStatus", "http2Error"),)
    NOT_IN_FORCE = {"http2Error": "Say httpStatus or grpcStatus (Istio knows no other either)."}

    http_status: Annotated[int, Meta(ge=200, le=599)] | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(ApiType, frozen=True):
    """Faults put in on purpose, to see what they do."""

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


class HTTPMirrorPolicy(ApiType, frozen=True):
    """A copy of a share of the requests for another destination."""

    destination: Destination
    percentage: Percent | None = None


class HTTPRoute(ApiType, frozen=True):
    """One rule: the first whose conditions hold decides what happens to a request."""

    ONE_OF = (("route", "redirect", "directResponse", "delegate"),)
    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: Percentage | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class TLSMatchAttributes(ApiType, frozen=True):
    """Conditions on a TLS connection that is not ended here."""

    sni_hosts: tuple[str, ...]
    destination_subnets: tuple[str, ...] = ()
    port: PortNumber = 0
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TLSRoute(ApiType, frozen=True):
    """Where TLS connections go, by the name the client asks for."""

    match: tuple[TLSMatchAttributes, ...]
    route: tuple[RouteDestination, ...] = ()


class L4MatchAttributes(ApiType, frozen=True):
    """Conditions on a TCP connection."""

    destination_subnets: tuple[str, ...] = ()
    port: PortNumber = 0
    source_subnet: str = ""
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TCPRoute(ApiType, frozen=True):
    """Where TCP connections go."""

    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class VirtualServiceSpec(ApiType, frozen=True):
    """How traffic for `hosts` is routed, in sidecars (`mesh`) and at the named gateways."""

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()
