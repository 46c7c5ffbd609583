"""What is asked of a simulation, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kaiki.model.finding import ObjectRef
from kaiki.translate.simulation.codes import Code, Parameters


@dataclass(frozen=True, slots=True)
class Request:
    """A request, or (with `http` False) a connection of plain bytes.

    `port` is where it goes to, as the proxy sees it: for a gateway the port its pod binds. `address` is the destination
    IP, which only listeners of TCP and undeclared ports look at (empty: none they know). `server_name` is the SNI; a
    connection is TLS if it has one or `tls` is set. `headers` have lower-case names. `principal` is who the client's
    certificate says it is (`spiffe://…`), `application_protocols` are those of its TLS hello.
    """

    host: str
    port: int
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    server_name: str = ""
    tls: bool = False
    http: bool = True
    source_address: str = ""
    principal: str = ""
    application_protocols: tuple[str, ...] = ()

    @property
    def is_tls(self) -> bool:
        """Whether the connection begins with a TLS hello."""
        return self.tls or bool(self.server_name)


class Verdict(StrEnum):
    """How it ends."""

    FORWARDED = "forwarded"
    ANSWERED = "answered"
    REDIRECTED = "redirected"
    NO_ROUTE = "no route"
    REFUSED = "refused"
    NO_ENDPOINT = "no endpoint"


@dataclass(frozen=True, slots=True)
class Step:
    """One decision on the way: which `listener`, `filter chain`, `policy`, `route table`, `virtual host`, `route`,
    `filter`, `cluster`, `endpoint` or `destination`, by name (empty: there is none), what is said of it, and the object
    (with the field) that put it there, if any did.
    """

    part: str
    name: str
    code: Code
    parameters: Parameters = field(default_factory=dict)
    source: ObjectRef | None = None
    field: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """One of the clusters a request may go to; weights are relative. `endpoints` are `address:port` by priority."""

    cluster: str
    weight: int
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end and the way there. `status` is what the proxy itself answers (0: the upstream does).

    `passed_over` are the routes looked at before the one that took the request, each with the condition that failed.
    `host` and `path` are what the upstream sees, or where a redirect points to (`location`).
    """

    verdict: Verdict
    steps: tuple[Step, ...]
    status: int = 0
    clusters: tuple[Share, ...] = ()
    mirrors: tuple[tuple[str, float], ...] = ()
    host: str = ""
    path: str = ""
    location: str = ""
    timeout_seconds: float = 0.0
    retries: int = 0
    passed_over: tuple[Step, ...] = ()

    @property
    def cluster(self) -> str:
        """The cluster that gets most; empty where nothing is forwarded."""
        return max(self.clusters, key=lambda share: share.weight).cluster if self.clusters else ""
