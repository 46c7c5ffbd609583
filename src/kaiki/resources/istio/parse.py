"""One Istio object as the API gives it → a typed spec and what is wrong with it.

Unknown fields are the API server's to reject; here they are ignored. Everything a schema cannot say cheaply is checked
once, generically, by walking the typed value: fields of which only one may be set, expressions that do not compile, and
fields that are stored but do nothing in this version.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import re2

from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.resources import core
from kaiki.resources.istio.authorization_policy import AuthorizationPolicySpec
from kaiki.resources.istio.common import ApiType, StringMatch
from kaiki.resources.istio.destination_rule import DestinationRuleSpec
from kaiki.resources.istio.envoy_filter import EnvoyFilterSpec, ProxyMatch
from kaiki.resources.istio.gateway import GatewaySpec
from kaiki.resources.istio.peer_authentication import PeerAuthenticationSpec
from kaiki.resources.istio.proxy_config import ProxyConfigSpec
from kaiki.resources.istio.request_authentication import RequestAuthenticationSpec
from kaiki.resources.istio.service_entry import ServiceEntrySpec, WorkloadEntry
from kaiki.resources.istio.sidecar import SidecarSpec
from kaiki.resources.istio.telemetry import TelemetrySpec
from kaiki.resources.istio.virtual_service import (
    L4MatchAttributes,
    RegexRewrite,
    TLSMatchAttributes,
    VirtualServiceSpec,
)
from kaiki.resources.istio.wasm_plugin import WasmPluginSpec
from kaiki.resources.istio.workload_group import WorkloadGroupSpec

GROUP = "networking.istio.io"
SPECS: Mapping[str, type[ApiType]] = {
    "VirtualService": VirtualServiceSpec,
    "DestinationRule": DestinationRuleSpec,
    "Gateway": GatewaySpec,
    "ServiceEntry": ServiceEntrySpec,
    "Telemetry": TelemetrySpec,
    "Sidecar": SidecarSpec,
    "WorkloadEntry": WorkloadEntry,
    "EnvoyFilter": EnvoyFilterSpec,
    "WorkloadGroup": WorkloadGroupSpec,
    "ProxyConfig": ProxyConfigSpec,
    "AuthorizationPolicy": AuthorizationPolicySpec,
    "PeerAuthentication": PeerAuthenticationSpec,
    "RequestAuthentication": RequestAuthenticationSpec,
    "WasmPlugin": WasmPluginSpec,
}
GROUPS: Mapping[str, str] = {
    "Telemetry": "telemetry.istio.io",
    "AuthorizationPolicy": "security.istio.io",
    "PeerAuthentication": "security.istio.io",
    "RequestAuthentication": "security.istio.io",
    "WasmPlugin": "extensions.istio.io",
}
"""Kinds of other groups than `GROUP`."""
_PLACE = re.compile(r"^(?P<cause>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """An object that could be read. `findings` may still hold errors about parts of it."""

    reference: ObjectRef
    spec: ApiType
    created: str
    findings: tuple[Finding, ...]


def is_istio(obj: core.Object) -> bool:
    """Whether an object is of a kind this module reads (a Gateway of the Gateway API is not)."""
    kind = str(obj.get("kind"))
    group = GROUPS.get(kind, GROUP)
    return kind in SPECS and str(obj.get("apiVersion", group)).split("/", 1)[0] == group


def parse(obj: core.Object) -> Parsed | tuple[Finding, ...]:
    """Read one object; findings alone if it cannot be read at all."""
    reference = core.reference(obj)
    try:
        spec = msgspec.convert(core.spec(obj), SPECS[reference.kind])
    except msgspec.ValidationError as error:
        return (_unreadable(reference, str(error)),)
    return Parsed(reference, spec, core.created(obj), tuple(_problems(reference, spec, "spec")))


def _unreadable(reference: ObjectRef, message: str) -> Finding:
    match = _PLACE.match(message)
    cause, path = (match["cause"], match["path"] or "") if match else (message, "")
    return Finding(
        code="KAI0101",
        severity=Severity.ERROR,
        resource=reference,
        path=f"spec{path}",
        message=f"this is not what the field takes: {cause[:1].lower()}{cause[1:]}.",
        hint="Nothing of the object is in force until it is corrected.",
    )


def _problems(reference: ObjectRef, value: object, path: str) -> Iterator[Finding]:
    if isinstance(value, ApiType):
        yield from _problems_here(reference, value, path)
        for name, written, _ in _fields(type(value)):
            yield from _problems(reference, getattr(value, name), f"{path}.{written}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _problems(reference, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _problems(reference, item, f"{path}[{key}]")


@cache
def _fields(kind: type[ApiType]) -> tuple[tuple[str, str, Any], ...]:
    """The fields of a type, how they are written, and their defaults. Finding out resolves every annotation: once."""
    return tuple((field.name, field.encode_name, field.default) for field in msgspec.structs.fields(kind))


def _problems_here(reference: ObjectRef, value: ApiType, path: str) -> Iterator[Finding]:
    is_set = _set_fields(value)
    for group in value.ONE_OF:
        several = [name for name in group if name in is_set]
        if len(several) > 1:
            yield Finding(
                "KAI0102", Severity.ERROR, reference, path, f"only one of {', '.join(several)} can be set.", "Keep one."
            )
    for name, way_out in value.NOT_IN_FORCE.items():
        if name in is_set:
            message = f"unsupported: {name} is accepted but not in force."
            yield Finding("KAI0103", Severity.WARNING, reference, f"{path}.{name}", message, way_out)
    for name, code, cause in _connection_problems(value):
        yield Finding(code, Severity.ERROR, reference, f"{path}.{name}", cause)
    expression = _expression(value)
    if expression and (cause := expression_error(expression)):
        message = f"the expression {expression!r} does not compile: {cause}."
        yield Finding("KAI0104", Severity.ERROR, reference, path, message, "Expressions are RE2's.")


def _connection_problems(value: ApiType) -> Iterator[tuple[str, str, str]]:
    """(field, code, cause) of what Envoy would refuse in the conditions of a TLS or TCP route."""
    if isinstance(value, TLSMatchAttributes | L4MatchAttributes):
        source = value.source_subnet if isinstance(value, L4MatchAttributes) else ""
        written = [("destinationSubnets", subnet) for subnet in value.destination_subnets]
        for field, subnet in [*written, *([("sourceSubnet", source)] if source else [])]:
            try:
                ipaddress.ip_network(subnet, strict=False)
            except ValueError:
                yield field, "KAI0105", f"{subnet!r} is not an address or a subnet."
    if isinstance(value, TLSMatchAttributes):
        for name in value.sni_hosts:
            if (name != "*" and "*" in name.removeprefix("*.")) or not name:
                yield (
                    "sniHosts",
                    "KAI0106",
                    f"{name!r} is not a server name; `*.` may only begin it.",
                )


def _set_fields(value: ApiType) -> set[str]:
    """The JSON names of the fields that differ from their defaults."""
    found = set()
    for name, written, default in _fields(type(value)):
        given = getattr(value, name)
        if given is not None and given not in ((), {}) and given != default:
            found.add(written)
    return found


def _expression(value: ApiType) -> str | None:
    if isinstance(value, StringMatch):
        return value.regex
    if isinstance(value, ProxyMatch):
        return value.proxy_version or None
    return value.match if isinstance(value, RegexRewrite) else None


def expression_error(expression: str) -> str:
    """Why RE2 refuses an expression; empty if it takes it."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(expression, options)
    except re2.error as error:
        cause = error.args[0] if error.args else "unknown"
        return cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
    return ""


def spec_of(parsed: Parsed, kind: type[Any]) -> Any:
    """The spec, which must be of `kind`."""
    if not isinstance(parsed.spec, kind):
        raise TypeError(f"{parsed.reference} holds a {type(parsed.spec).__name__}, not a {kind.__name__}")
    return parsed.spec
