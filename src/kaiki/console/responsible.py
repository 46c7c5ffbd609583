"""Which object made a proxy answer as its access log says: read from the entry and from the objects there are now.

    denied by policy ──▶ AuthorizationPolicy, RequestAuthentication     no route ──▶ VirtualService, HTTPRoute, Gateway
    fault, timeout, retries, redirect ──▶ the VirtualService's rule     no endpoint ──▶ DestinationRule, Service

What was in force when the entry was written may have changed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaiki.console.access_log import LogEntry
from kaiki.console.response_flags import LANGUAGES
from kaiki.model.well_known import GATEWAY_NAME_LABEL, ROOT_NAMESPACE

Object = Mapping[str, Any]
_POLICY = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]")
_RETRIED = "retried"
_TEXTS = {
    "denied": ("This policy refuses the request.", "이 정책이 요청을 거부합니다."),
    "notAllowed": (
        "No rule of this policy lets the request in.",
        "이 정책의 어떤 규칙도 요청을 허용하지 않습니다.",
    ),
    "token": ("This object asks for a valid token.", "이 객체가 올바른 토큰을 요구합니다."),
    "noRule": ("None of its rules matches this request.", "이 요청과 일치하는 규칙이 없습니다."),
    "noHost": ("It does not serve this host.", "이 호스트를 받지 않습니다."),
    "noRoutes": ("It takes this host, but no route is bound to it.", "이 호스트를 받지만 연결된 라우트가 없습니다."),
    "fault": ("It injects this fault.", "이 장애를 주입합니다."),
    "timeout": ("It sets the timeout.", "제한 시간을 정합니다."),
    "retries": ("It sets the retries.", "재시도를 정합니다."),
    "answer": ("It gives this answer itself.", "이 응답을 직접 돌려줍니다."),
    "subset": (
        "The rule leads to a subset that no DestinationRule has.",
        "규칙이 가리키는 subset이 DestinationRule에 없습니다.",
    ),
    "limits": ("It limits connections and requests.", "연결과 요청 수를 제한합니다."),
    "endpoints": ("It has no endpoint that is ready.", "준비된 엔드포인트가 없습니다."),
    "selects": ("Its labels choose the endpoints.", "이 레이블로 엔드포인트를 고릅니다."),
    "server": ("Its endpoints are the server.", "이 서비스의 엔드포인트가 서버입니다."),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the entry was written."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gateway: bool = False
    address: str = ""

    def received(self, entry: LogEntry) -> bool:
        """Whether the request came to this workload, rather than from it."""
        if self.gateway:
            return False
        local = entry.downstream_local_address.rpartition(":")[0]
        return entry.upstream_cluster.startswith("inbound|") or (bool(local) and local == self.address)


@dataclass(frozen=True, slots=True)
class Responsible:
    """An object, the field of it, and in words what it does."""

    kind: str
    namespace: str
    name: str
    field: str
    cause: str
    api_version: str = ""

    def as_json(self, language: str) -> dict[str, str]:
        """For an answer."""
        text = _TEXTS[self.cause][LANGUAGES.index(language)]
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "field": self.field,
            "cause": self.cause,
            "text": text,
        }


def find_responsible(entry: LogEntry, place: Place, objects: Iterable[Object]) -> list[Responsible]:
    """The objects behind a failure; empty where nothing failed, or nothing of the user's made it so."""
    by_kind: dict[str, list[Object]] = {}
    for obj in objects:
        by_kind.setdefault(str(obj.get("kind", "")), []).append(obj)
    mesh = _Mesh(by_kind, place)
    flags, details = frozenset(entry.response_flags.split(",")), entry.response_code_details
    flags |= {_RETRIED} if retried(entry) else frozenset()
    denials = f"{details} {entry.connection_termination_details}"
    if "rbac_access_denied" in denials:
        return mesh.policies(denials)
    if details.startswith("jwt_authn_access_denied"):
        return mesh.selecting("RequestAuthentication", "token")
    if "UAEX" in flags:
        return mesh.selecting("AuthorizationPolicy", "denied", action="CUSTOM")
    if place.received(entry):
        return []
    if "NR" in flags:
        return mesh.missing_route(entry)
    return mesh.outcome(entry, flags)


def retried(entry: LogEntry) -> bool:
    """Whether the log or the span tells of more than one attempt, however it ended."""
    attempts = entry.upstream_request_attempt_count
    return attempts.isdigit() and int(attempts) > 1


class _Mesh:
    """The objects around one entry's place."""

    def __init__(self, by_kind: Mapping[str, list[Object]], place: Place) -> None:
        self._by_kind = by_kind
        self._place = place

    # Denials

    def policies(self, details: str) -> list[Responsible]:
        named = _POLICY.search(details)
        if named is not None:
            kind, field = "AuthorizationPolicy", f"spec.rules[{named[3]}]"
            return [Responsible(kind, named[1], named[2], field, "denied", "security.istio.io/v1")]
        return self.selecting("AuthorizationPolicy", "notAllowed", action="ALLOW")

    def selecting(self, kind: str, cause: str, action: str = "") -> list[Responsible]:
        """The objects of a kind that are in force at this workload."""
        found = []
        for obj in self._by_kind.get(kind, ()):
            spec = obj.get("spec") or {}
            wanted = ((spec.get("selector") or {}).get("matchLabels")) or {}
            near = _namespace(obj) in (self._place.namespace, ROOT_NAMESPACE)
            chosen = wanted.items() <= self._place.labels.items()
            if near and chosen and (not action or spec.get("action", "ALLOW") == action):
                found.append(_responsible(obj, cause))
        return found

    # Routes

    def missing_route(self, entry: LogEntry) -> list[Responsible]:
        host = host_of(entry.authority)
        routes = [_responsible(obj, "noRule") for obj in self._virtual_services(host)]
        routes += [_responsible(obj, "noRule") for obj in self._http_routes(host)]
        if routes or not self._place.gateway:
            return routes
        gateways = self._gateways()
        serving = [obj for obj in gateways if any(covers(one, host) for one in _server_hosts(obj))]
        return [_responsible(obj, "noRoutes") for obj in serving] or [_responsible(obj, "noHost") for obj in gateways]

    def outcome(self, entry: LogEntry, flags: frozenset[str]) -> list[Responsible]:
        host = host_of(entry.authority)
        rules = [rule for obj in self._virtual_services(host) if (rule := _matching(obj, entry)) is not None]
        for flag, member, cause in (
            ("FI", "fault", "fault"),
            ("DI", "fault", "fault"),
            ("UT", "timeout", "timeout"),
            ("URX", "retries", "retries"),
            (_RETRIED, "retries", "retries"),
        ):
            found = [_of_rule(rule, f".{member}", cause) for rule in rules if flag in flags and rule[2].get(member)]
            if found:
                return found
        if entry.response_code_details == "direct_response":
            found = [
                _of_rule(rule, f".{member}", "answer")
                for rule in rules
                for member in ("directResponse", "redirect")
                if rule[2].get(member)
            ]
            return found
        if not flags & {"UH", "NC", "UF", "UO", "UC", "URX"}:
            return []
        if entry.upstream_cluster == "BlackHoleCluster":
            return [_of_rule(rule, ".route", "subset") for rule in rules]
        return self._destination(entry.upstream_cluster, flags)

    def _destination(self, cluster: str, flags: frozenset[str]) -> list[Responsible]:
        direction, _, rest = cluster.partition("|")
        _, _, rest = rest.partition("|")
        subset, _, host = rest.partition("|")
        if direction != "outbound" or not host:
            return []
        found = []
        for rule in self._by_kind.get("DestinationRule", ()):
            spec = rule.get("spec") or {}
            if host not in full_hosts(str(spec.get("host", "")), _namespace(rule)):
                continue
            if "UO" in flags:
                found.append(_responsible(rule, "limits", "spec.trafficPolicy"))
            names = [str(one.get("name")) for one in spec.get("subsets") or ()]
            if subset in names and "UO" not in flags:
                found.append(_responsible(rule, "selects", f"spec.subsets[{names.index(subset)}]"))
        if "UO" in flags:
            return found
        cause = "endpoints" if flags & {"UH", "NC"} else "server"
        return found + [_responsible(obj, cause) for obj in self._services(host)]

    def _services(self, host: str) -> list[Object]:
        services = [
            obj
            for obj in self._by_kind.get("Service", ())
            if host.startswith(f"{_name(obj)}.{_namespace(obj)}.svc.") or host == f"{_name(obj)}.{_namespace(obj)}"
        ]
        entries = self._by_kind.get("ServiceEntry", ())
        return services or [obj for obj in entries if host in ((obj.get("spec") or {}).get("hosts") or ())]

    def _virtual_services(self, host: str) -> list[Object]:
        """Those that are in force here and have the host, the most specific first."""
        found: list[tuple[int, Object]] = []
        gateways = {f"{_namespace(obj)}/{_name(obj)}" for obj in self._gateways()}
        for obj in self._by_kind.get("VirtualService", ()):
            spec = obj.get("spec") or {}
            bound = {_gateway_name(str(one), _namespace(obj)) for one in spec.get("gateways") or ("mesh",)}
            if not (bound & gateways if self._place.gateway else "mesh" in bound):
                continue
            hosts = [one for text in spec.get("hosts") or () for one in full_hosts(str(text), _namespace(obj))]
            fitting = [one for one in hosts for given in self._meant(host) if covers(one, given)]
            if fitting:
                found.append((max(map(_weight, fitting)), obj))
        best = max((weight for weight, _ in found), default=0)
        return [obj for weight, obj in found if weight == best]

    def _meant(self, host: str) -> set[str]:
        """A host as clients here write it, and its full names."""
        meant = {host}
        if not self._place.gateway and host.count(".") < 3:
            meant |= full_hosts(host, self._place.namespace)
        return meant

    def _gateways(self) -> list[Object]:
        """Istio's Gateways that choose this workload."""
        found = []
        for obj in self._by_kind.get("Gateway", ()) if self._place.gateway else ():
            selector = (obj.get("spec") or {}).get("selector") or {}  # Gateway API's Gateways have none.
            if selector and selector.items() <= self._place.labels.items():
                found.append(obj)
        return found

    def _http_routes(self, host: str) -> list[Object]:
        """Gateway API routes for the host that are bound to this gateway, or to the mesh."""
        gateway = self._place.labels.get(GATEWAY_NAME_LABEL, "")
        found = []
        for obj in self._by_kind.get("HTTPRoute", ()):
            spec = obj.get("spec") or {}
            parents = spec.get("parentRefs") or ()
            if self._place.gateway:
                names = spec.get("hostnames") or ("*",)
                bound = gateway and any(parent.get("name") == gateway for parent in parents)
            else:
                names = [parent.get("name", "") for parent in parents if parent.get("kind") == "Service"]
                names = [full for name in names for full in full_hosts(str(name), _namespace(obj))]
                bound = bool(names)
            if bound and any(covers(str(name), given) for name in names for given in self._meant(host)):
                found.append(obj)
        return found


Rule = tuple[Object, int, Mapping[str, Any]]


def _matching(obj: Object, entry: LogEntry) -> Rule | None:
    """The first rule that the request fits, as far as the log tells: by the route's name, else by path and method."""
    rules = list(enumerate((obj.get("spec") or {}).get("http") or ()))
    for index, rule in rules:
        if rule.get("name") and entry.route_name.split(".")[0] == rule["name"]:
            return obj, index, rule
    for index, rule in rules:
        conditions: list[Mapping[str, Any]] = rule.get("match") or [{}]
        if any(_fits(condition, entry) for condition in conditions):
            return obj, index, rule
    return None


def _fits(match: Mapping[str, Any], entry: LogEntry) -> bool:
    """Conditions on what the log does not hold, headers say, count as met."""
    path = entry.path.partition("?")[0]
    return _fits_text(match.get("uri"), path) and _fits_text(match.get("method"), entry.method)


def _fits_text(condition: Mapping[str, str] | None, text: str) -> bool:
    if not condition:
        return True
    if "exact" in condition:
        return text == condition["exact"]
    if "prefix" in condition:
        return text.startswith(condition["prefix"])
    import re2

    try:
        return re2.fullmatch(condition.get("regex", ""), text) is not None
    except re2.error:
        return False


def _of_rule(rule: Rule, member: str, cause: str) -> Responsible:
    return _responsible(rule[0], cause, f"spec.http[{rule[1]}]{member}")


def _responsible(obj: Object, cause: str, path: str = "") -> Responsible:
    version = str(obj.get("apiVersion", ""))
    return Responsible(str(obj.get("kind", "")), _namespace(obj), _name(obj), path, cause, version)


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _gateway_name(text: str, namespace: str) -> str:
    return text if "/" in text or text == "mesh" else f"{namespace}/{text}"


def _server_hosts(gateway: Object) -> list[str]:
    servers = (gateway.get("spec") or {}).get("servers") or ()
    return [str(host).rpartition("/")[2] for server in servers for host in server.get("hosts") or ()]


def host_of(authority: str) -> str:
    """Without the port, in small letters."""
    host, _, port = authority.rpartition(":")
    return (host if host and port.isdigit() else authority).lower()


def full_hosts(host: str, namespace: str) -> set[str]:
    """A short name and the full one it stands for; other names stand for themselves."""
    parts = host.split(".")
    if host.startswith("*") or len(parts) > 3 or (len(parts) == 3 and parts[2] != "svc"):
        return {host}
    if len(parts) == 1:
        return {host, f"{host}.{namespace}", f"{host}.{namespace}.svc.cluster.local"}
    return {host, f"{parts[0]}.{parts[1]}.svc.cluster.local"}


def covers(pattern: str, host: str) -> bool:
    """Whether a host, with a wildcard or without, has this name."""
    if pattern == "*":
        return True
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern.lower()


def _weight(pattern: str) -> int:
    """An exact name is more specific than any wildcard."""
    return len(pattern) + (0 if pattern.startswith("*") else 1000)
