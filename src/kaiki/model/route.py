"""Routes: where a request goes and what happens to it on the way, as VirtualServices (and later HTTPRoutes) say it.

Hosts are full names here, durations are seconds, and what was one of several choices in the API is a union of types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kaiki.model.finding import ObjectRef

MESH_GATEWAY = "mesh"


class MatchKind(StrEnum):
    """How a text is compared. `PRESENT` asks only that there is one; `PATH_PREFIX` ends at a slash (Gateway API)."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"
    PATH_PREFIX = "path prefix"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A condition on one text; regular expressions are RE2 and match the whole text."""

    kind: MatchKind
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class NamedMatch:
    """A condition on one header or query parameter."""

    name: str
    match: TextMatch
    invert: bool = False


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """All set conditions must hold. `gateways` and `source_*` choose the proxies the match exists in at all; `index` is
    its place in the rule as written (-1: it is not written there).
    """

    name: str = ""
    uri: TextMatch | None = None
    scheme: TextMatch | None = None
    method: TextMatch | None = None
    authority: TextMatch | None = None
    headers: tuple[NamedMatch, ...] = ()
    query_parameters: tuple[NamedMatch, ...] = ()
    port: int = 0
    source_labels: tuple[tuple[str, str], ...] = ()
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    statistics_prefix: str = ""
    index: int = -1


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """Header changes in the order Envoy applies them."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


NO_HEADER_CHANGES = HeaderChanges()


@dataclass(frozen=True, slots=True)
class Destination:
    """A host of the registry, by full name. `port` 0 means the service's only port, or the port the request came to."""

    host: str
    subset: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class WeightedDestination:
    """One share of a route's traffic; weights are relative to each other."""

    destination: Destination
    weight: int = 0
    request_headers: HeaderChanges = NO_HEADER_CHANGES
    response_headers: HeaderChanges = NO_HEADER_CHANGES


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What the path (or its matched prefix) and the authority become; an empty text leaves them."""

    path: str = ""
    authority: str = ""
    path_pattern: str = ""
    path_substitution: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request on, to one of several destinations by weight."""

    destinations: tuple[WeightedDestination, ...]
    rewrite: Rewrite | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Answer with a redirect. `port` 0 keeps Envoy's rule for the scheme; `keep_port` keeps the request's."""

    path: str = ""
    path_prefix: str = ""
    authority: str = ""
    scheme: str = ""
    port: int = 0
    keep_port: bool = False
    code: int = 301


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """Answer with a fixed status and body."""

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Delegated:
    """Ask another VirtualService, one without hosts. Resolved while interpreting: no proxy ever sees it."""

    namespace: str
    name: str
    rewrite: Rewrite | None = None


Action = Forward | Redirect | DirectResponse | Delegated


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` 0 turns retries off. Empty `retry_on` means Istio's default conditions."""

    attempts: int = 2
    per_try_timeout_seconds: float | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    ignore_previous_hosts: bool = True
    backoff_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold a share of the requests for a while."""

    seconds: float
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Abort:
    """Answer a share of the requests at once, with an HTTP status or a gRPC status."""

    http_status: int = 0
    grpc_status: int | None = None
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Faults put in on purpose, before routing."""

    delay: Delay | None = None
    abort: Abort | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """Send a copy of a share of the requests elsewhere; its answer is dropped."""

    destination: Destination
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Cors:
    """Cross-origin rules of a route."""

    allow_origins: tuple[TextMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    allow_credentials: bool | None = None
    forward_unmatched_preflights: bool | None = None


@dataclass(frozen=True, slots=True)
class SessionPersistence:
    """Requests of one session go to one endpoint, as long as it is there: by a cookie the proxy sets, or by a header.

    `seconds` 0 means a cookie that lives as long as the client.
    """

    name: str
    by_header: bool = False
    path: str = "/"
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One rule: if any of `matches` holds (an empty tuple always holds), do `action`.

    `source` is the object that made it and `index` its place there, so that a proxy's route can name its origin.
    """

    source: ObjectRef
    index: int
    action: Action
    matches: tuple[HttpMatch, ...] = ()
    name: str = ""
    timeout_seconds: float | None = None
    retries: Retries | None = None
    fault: Fault | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    request_headers: HeaderChanges = NO_HEADER_CHANGES
    response_headers: HeaderChanges = NO_HEADER_CHANGES
    session: SessionPersistence | None = None


@dataclass(frozen=True, slots=True)
class ConnectionMatch:
    """Conditions on a TLS or TCP connection; `sni_hosts` is empty for TCP."""

    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    source_subnet: str = ""
    port: int = 0
    source_labels: tuple[tuple[str, str], ...] = ()
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionRoute:
    """Where the bytes of a matching connection go."""

    source: ObjectRef
    index: int
    destinations: tuple[WeightedDestination, ...]
    matches: tuple[ConnectionMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualService:
    """Routing for `hosts` (full names, `*.x`, or `*`) in the proxies of `gateways` (`mesh`, `namespace/name`).

    `created` orders objects of one host: the older one wins. `export_to` holds namespaces or `*`.
    """

    source: ObjectRef
    hosts: tuple[str, ...]
    gateways: tuple[str, ...] = (MESH_GATEWAY,)
    http: tuple[HttpRoute, ...] = ()
    tls: tuple[ConnectionRoute, ...] = ()
    tcp: tuple[ConnectionRoute, ...] = ()
    export_to: tuple[str, ...] = ("*",)
    created: str = field(default="")
