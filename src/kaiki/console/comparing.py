"""Why a request that was really made went where it went: its log line beside what would happen to it today.

    log line or span ──▶ the same request, simulated ──▶ remarks: where to, how long, retried, elsewhere today,
                                                          and which change since then is behind that

Remarks are codes with parameters; the pages word them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kaiki.console.access_log import LogEntry
from kaiki.console.responsible import covers, full_hosts, host_of
from kaiki.model.journal import ChangeEntry
from kaiki.translate.simulation import Outcome, Request, Step, Verdict

MOST_CHANGES = 10
_BEFORE_ROUTING = ("rbac_access_denied", "jwt_authn", "ext_authz", "fault_filter", "local_rate", "rate_limited")
"""Details of answers that filters give before the route decides; routing may agree all the same."""
_NO_SERVER = frozenset(("UH", "NC", "UF", "URX"))


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to say: a code that the page words, what stands in its text, and the change behind it."""

    code: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    change: ChangeEntry | None = None


def compare(entry: LogEntry, outcome: Outcome | None, changes: Iterable[ChangeEntry]) -> list[Remark]:
    """What there is to say of a request. `outcome` is the same request simulated now (None: it cannot be), `changes`
    are the journal's; only those after the request are looked at, the newest first."""
    remarks = [*_where(entry), *_time(entry), *_attempts(entry, outcome)]
    flags = frozenset(entry.response_flags.split(","))
    if outcome is None:
        return remarks
    if "UT" in flags and outcome.timeout_seconds:
        remarks.append(Remark("timeoutNow", {"seconds": f"{outcome.timeout_seconds:g}"}))
    if flags & _NO_SERVER and outcome.clusters:
        ready = sum(len(share.endpoints) for share in outcome.clusters if share.cluster == entry.upstream_cluster)
        remarks.append(Remark("endpointsNow", {"count": str(ready)}))
    return remarks + _today(entry, outcome, changes)


def _where(entry: LogEntry) -> list[Remark]:
    direction, _, rest = entry.upstream_cluster.partition("|")
    if not rest:
        return [Remark("clusterTaken", {"cluster": entry.upstream_cluster})] if entry.upstream_cluster else []
    port, _, rest = rest.partition("|")
    subset, _, host = rest.partition("|")
    if direction == "inbound":
        return [Remark("receivedAt", {"port": port})]
    server = {"server": entry.upstream_host} if entry.upstream_host else {}
    code = "sentTo" if server else "meantFor"
    return [Remark(f"{code}Subset" if subset else code, {"host": host, "port": port, "subset": subset, **server})]


def _time(entry: LogEntry) -> list[Remark]:
    total = {"total": str(entry.duration)}
    if not entry.upstream_service_time.isdigit():
        return [Remark("timeTotal", total)] if entry.duration else []
    upstream = int(entry.upstream_service_time)
    return [Remark("timeSplit", {**total, "upstream": str(upstream), "rest": str(max(0, entry.duration - upstream))})]


def _attempts(entry: LogEntry, outcome: Outcome | None) -> list[Remark]:
    attempts = entry.upstream_request_attempt_count
    if attempts.isdigit() and int(attempts) > 0:
        retried = int(attempts) > 1
        return [Remark("retried" if retried else "notRetried", {"attempts": attempts} if retried else {})]
    if "URX" in entry.response_flags.split(","):
        return [Remark("retriedAll")]
    return [Remark("retriesUnknown", {"count": str(outcome.retries)})] if outcome and outcome.retries else []


# Then and now


def _today(entry: LogEntry, outcome: Outcome, changes: Iterable[ChangeEntry]) -> list[Remark]:
    condition = _unknown_condition(entry, outcome)
    if condition:
        return [Remark("byCondition", {"route": entry.route_name, "condition": condition})]
    if _agrees(entry, outcome):
        return [Remark("sameNow")]
    since = [
        Remark("changedSince", {}, change)
        for change in sorted(changes, key=lambda change: change.time, reverse=True)
        if change.time > entry.time and _concerns(change, entry, outcome)
    ]
    then_now = {"then": _end_then(entry), "now": _end_now(outcome)}
    return [Remark("elsewhereNow", then_now), *(since[:MOST_CHANGES] or [Remark("noChangeKnown")])]


def _unknown_condition(entry: LogEntry, outcome: Outcome) -> str:
    """What the route that took the request asks for and the log does not tell: a header; else empty."""
    for step in outcome.passed_over:
        if step.name == entry.route_name and "header" in step.parameters:
            return f"{step.parameters['header']}:"
    return ""


def _agrees(entry: LogEntry, outcome: Outcome) -> bool:
    flags = entry.response_flags.split(",")
    if "NR" in flags:
        return outcome.verdict is Verdict.NO_ROUTE
    same_answer = outcome.status != 0 and outcome.status == entry.response_code
    if outcome.status and outcome.verdict is not Verdict.NO_ENDPOINT:
        return same_answer
    if not entry.upstream_cluster:
        return same_answer or entry.response_code_details.startswith(_BEFORE_ROUTING)
    clusters = {share.cluster for share in outcome.clusters}
    routes = {step.name for step in outcome.steps if step.part == "route" and not step.name.startswith("#")}
    return entry.upstream_cluster in clusters and (not entry.route_name or not routes or entry.route_name in routes)


def _end_then(entry: LogEntry) -> str:
    cluster = "" if "NR" in entry.response_flags.split(",") else entry.upstream_cluster
    return " ".join(filter(None, (cluster or str(entry.response_code), entry.route_name and f"({entry.route_name})")))


def _end_now(outcome: Outcome) -> str:
    route = next((step.name for step in outcome.steps if step.part == "route"), "")
    ends = ", ".join(share.cluster for share in outcome.clusters) or str(outcome.status or outcome.verdict.value)
    return f"{ends} ({route})" if route and not route.startswith("#") else ends


def _concerns(change: ChangeEntry, entry: LogEntry, outcome: Outcome) -> bool:
    """Whether a change is of an object on the way there now, or of one that has the host."""
    sources = {_key(step) for step in (*outcome.steps, *outcome.passed_over) if step.source}
    if (change.kind, change.namespace, change.name) in sources:
        return True
    meant = {host_of(entry.authority), entry.upstream_cluster.rpartition("|")[2]} - {""}
    meant |= {share.cluster.rpartition("|")[2] for share in outcome.clusters}
    meant |= {full for host in tuple(meant) for full in full_hosts(host, change.namespace)}
    named = _hosts(change.before, change.namespace) | _hosts(change.after, change.namespace)
    return any(covers(pattern, host) for pattern in named for host in meant)


def _key(step: Step) -> tuple[str, str, str]:
    source = step.source
    return (source.kind, source.namespace, source.name) if source else ("", "", "")


def _hosts(obj: Mapping[str, Any] | None, namespace: str) -> set[str]:
    """The hosts that an object of any kind has; for routes of the Gateway API those of the Services they belong to."""
    spec = (obj or {}).get("spec") or {}
    given = [*(spec.get("hosts") or ()), *(spec.get("hostnames") or ()), spec.get("host", "")]
    given += [host for server in spec.get("servers") or () for host in server.get("hosts") or ()]
    given += [parent.get("name", "") for parent in spec.get("parentRefs") or () if parent.get("kind") == "Service"]
    given += [one.get("hostname") or "" for one in spec.get("listeners") or ()]
    plain = (str(host).rpartition("/")[2] for host in given if host)
    return {full for host in plain for full in full_hosts(host, namespace)}


# The request


def request_of(entry: LogEntry) -> Request:
    """The request a log line tells of, at the address and port the proxy took it at. Other headers are not logged."""
    address, _, port = entry.downstream_local_address.rpartition(":")
    cluster_port = entry.upstream_cluster.split("|")[1] if entry.upstream_cluster.startswith("outbound|") else ""
    host = host_of(entry.authority) or entry.requested_server_name or address
    given = entry.authority.rpartition(":")[2] if ":" in entry.authority else ""
    number = next((int(text) for text in (port, given, cluster_port) if text.isdigit()), 0)
    return Request(
        host=host,
        port=number,
        path=entry.path or "/",
        method=entry.method or "GET",
        headers={"user-agent": entry.user_agent} if entry.user_agent else {},
        address=address.strip("[]"),
        server_name=entry.requested_server_name,
        http=bool(entry.method),
    )


@dataclass(frozen=True, slots=True)
class SpanPlace:
    """Whose proxy made a span."""

    namespace: str
    pod: str


def read_span(tags: Mapping[str, str], time: float, duration: int) -> tuple[LogEntry, SpanPlace]:
    """What Envoy's tags of a span tell, as a log line. Raises ValueError for spans that are not a proxy's.

    Tags: Envoy, "Tracing"; `node_id` is `sidecar~address~pod.namespace~domain`.
    """
    node = tags.get("node_id", "").split("~")
    pod, _, namespace = node[2].rpartition(".") if len(node) == 4 else ("", "", "")
    if not pod:
        raise ValueError("the span has no node_id of a proxy in the mesh")
    url = urlsplit(tags.get("http.url", ""))
    code = tags.get("http.status_code", "")
    entry = LogEntry(
        time=time,
        method=tags.get("http.method", ""),
        path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        protocol=tags.get("http.protocol", ""),
        response_code=int(code) if code.isdigit() else 0,
        response_flags=tags.get("response_flags", "") or "-",
        duration=duration,
        user_agent=tags.get("user_agent", ""),
        request_id=tags.get("guid:x-request-id", ""),
        authority=url.netloc,
        upstream_host=tags.get("upstream_address", ""),
        upstream_cluster=tags.get("upstream_cluster", ""),
        upstream_request_attempt_count=_attempts_of(tags.get("retry.count", "")),
    )
    return entry, SpanPlace(namespace, pod)


def _attempts_of(retries: str) -> str:
    return str(int(retries) + 1) if retries.isdigit() else ""
