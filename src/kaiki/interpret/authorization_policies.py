"""AuthorizationPolicy objects → policies, and what of them can be judged without the mesh (KAI25xx)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.policy.access import AccessAction, AccessPolicy, AccessRule, Attribute, Condition
from kaiki.resources import core
from kaiki.resources.istio import authorization_policy as api
from kaiki.resources.istio.common import PolicyTargetReference

_DRY_RUN = "istio.io/dry-run"
_GATEWAY_GROUP = "gateway.networking.k8s.io"
_SOURCE_FIELDS = {
    "principals": Attribute.PRINCIPAL,
    "request_principals": Attribute.REQUEST_PRINCIPAL,
    "namespaces": Attribute.NAMESPACE,
    "service_accounts": Attribute.SERVICE_ACCOUNT,
    "ip_blocks": Attribute.SOURCE_IP,
    "remote_ip_blocks": Attribute.REMOTE_IP,
}
_OPERATION_FIELDS = {
    "hosts": Attribute.HOST,
    "ports": Attribute.DESTINATION_PORT,
    "methods": Attribute.METHOD,
    "paths": Attribute.PATH,
}
_BRACKET = re.compile(r"\[([^\[\]]+)\]")
_NAMED = (Attribute.HEADER, Attribute.CLAIM)
_ADDRESSES = (Attribute.SOURCE_IP, Attribute.REMOTE_IP, Attribute.DESTINATION_IP)


def access_policy(source: ObjectRef, spec: api.AuthorizationPolicySpec, obj: core.Object, created: str) -> AccessPolicy:
    """Translate one spec; `obj` gives its annotations. What `access_findings` calls an error is left out."""
    references = [*spec.target_refs, *([spec.target_ref] if spec.target_ref else [])]
    return AccessPolicy(
        source=source,
        created=created,
        action=AccessAction(spec.action),
        rules=tuple(_rule(rule, source.namespace) for rule in spec.rules),
        selector=tuple(sorted(spec.selector.match_labels.items())) if spec.selector else (),
        gateways=tuple(one.name for one in references if _names(one, "Gateway")),
        gateway_classes=tuple(one.name for one in references if _names(one, "GatewayClass")),
        has_targets=bool(references),
        is_tried=(obj["metadata"].get("annotations") or {}).get(_DRY_RUN) == "true",
    )


def _names(reference: PolicyTargetReference, kind: str) -> bool:
    return (reference.group, reference.kind) == (_GATEWAY_GROUP, kind)


def _rule(rule: api.Rule, namespace: str) -> AccessRule:
    sources = (one.source or api.Source() for one in rule.from_)
    operations = (one.operation or api.Operation() for one in rule.to)
    return AccessRule(
        sources=tuple(tuple(_conditions(one, _SOURCE_FIELDS, namespace)) for one in sources),
        operations=tuple(tuple(_conditions(one, _OPERATION_FIELDS, namespace)) for one in operations),
        when=tuple(filter(None, (_when(one, namespace) for one in rule.when))),
    )


def _conditions(value: api.Source | api.Operation, fields: dict[str, Attribute], namespace: str) -> Iterator[Condition]:
    for name, attribute in fields.items():
        values, others = getattr(value, name), getattr(value, f"not_{name}")
        if values or others:
            yield _condition(attribute, values, others, namespace)


def _condition(
    attribute: Attribute, values: tuple[str, ...], others: tuple[str, ...], namespace: str, name: tuple[str, ...] = ()
) -> Condition:
    if attribute is Attribute.SERVICE_ACCOUNT:
        values, others = (tuple(_full_account(one, namespace) for one in some) for some in (values, others))
    return Condition(attribute, values, others, name)


def _full_account(account: str, namespace: str) -> str:
    return account if "/" in account else f"{namespace}/{account}"


def _when(one: api.Condition, namespace: str) -> Condition | None:
    known = attribute_of(one.key)
    return None if known is None else _condition(known[0], one.values, one.not_values, namespace, known[1])


def attribute_of(key: str) -> tuple[Attribute, tuple[str, ...]] | None:
    """The attribute a `when` means, and the name in brackets; None for a key there is not."""
    names: tuple[str, ...] = tuple(_BRACKET.findall(key))
    if key.startswith(f"{Attribute.METADATA}."):
        filter_name = key.removeprefix("experimental.").partition("[")[0]
        return (Attribute.METADATA, (filter_name, *names)) if names else None
    plain = key.partition("[")[0]
    attribute = next((one for one in Attribute if one.value == plain), None)
    written_otherwise = (Attribute.HOST, Attribute.METHOD, Attribute.PATH, Attribute.METADATA, None)
    if attribute in written_otherwise or (attribute in _NAMED) != bool(names):
        return None
    if attribute is Attribute.HEADER and len(names) != 1:
        return None
    return attribute, names


def access_findings(source: ObjectRef, spec: api.AuthorizationPolicySpec) -> Iterator[Finding]:
    """What is wrong with an AuthorizationPolicy, whatever the mesh is like."""
    if spec.action == "CUSTOM" or spec.provider is not None:
        message = "unsupported: asking an external authorizer (CUSTOM) is not in force, so nobody would be refused."
        hint = "Use ALLOW or DENY, or an EnvoyFilter with envoy.filters.http.ext_authz."
        field = "action" if spec.action == "CUSTOM" else "provider"
        yield Finding("KAI2501", Severity.ERROR, source, f"spec.{field}", message, hint)
    if spec.action in ("DENY", "AUDIT") and not spec.rules:
        message = f"{spec.action} without rules matches nothing."
        yield Finding("KAI2502", Severity.WARNING, source, "spec.rules", message, "A rule `{}` matches everything.")
    if spec.action == "AUDIT":
        message = "requests that match are only marked (`access_log_hint`); no log of theirs is written."
        hint = "Ask for access logs with a Telemetry object."
        yield Finding("KAI2503", Severity.WARNING, source, "spec.action", message, hint)
    yield from _target_findings(source, spec)
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        parts = chain(
            ((f"{path}.from[{n}].source", one.source, _SOURCE_FIELDS) for n, one in enumerate(rule.from_)),
            ((f"{path}.to[{n}].operation", one.operation, _OPERATION_FIELDS) for n, one in enumerate(rule.to)),
        )
        for place, part, fields in parts:
            yield from _part_findings(source, place, part, fields)
        for number, one in enumerate(rule.when):
            yield from _when_findings(source, f"{path}.when[{number}]", one)


def _target_findings(source: ObjectRef, spec: api.AuthorizationPolicySpec) -> Iterator[Finding]:
    written = [(f"spec.targetRefs[{index}]", one) for index, one in enumerate(spec.target_refs)]
    for path, one in written or ([("spec.targetRef", spec.target_ref)] if spec.target_ref else []):
        if not (_names(one, "Gateway") or _names(one, "GatewayClass")):
            message = f"unsupported: it cannot be attached to a {one.kind}; here that asks for a waypoint, as in Istio."
            hint = "Use a selector for workloads, or a Gateway of gateway.networking.k8s.io."
            yield Finding("KAI2504", Severity.WARNING, source, path, message, hint)


def _part_findings(
    source: ObjectRef, path: str, part: api.Source | api.Operation | None, fields: dict[str, Attribute]
) -> Iterator[Finding]:
    said = False
    for name, attribute in fields.items() if part is not None else ():
        for prefix in ("", "not_"):
            values = getattr(part, prefix + name)
            said |= bool(values)
            for index, text in enumerate(values):
                yield from _value_findings(source, f"{path}.{_camel(prefix + name)}[{index}]", attribute, text)
    if not said:
        message = "it says nothing, which is most likely not what is meant."
        yield Finding("KAI2505", Severity.ERROR, source, path, message, "Leave it out to mean anything.")
    if isinstance(part, api.Source) and part.service_accounts + part.not_service_accounts:
        others = part.principals + part.not_principals + part.namespaces + part.not_namespaces
        if others:
            message = "serviceAccounts cannot stand beside principals or namespaces."
            yield Finding("KAI2506", Severity.ERROR, source, path, message, "Keep one of them.")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _when_findings(source: ObjectRef, path: str, one: api.Condition) -> Iterator[Finding]:
    known = attribute_of(one.key)
    if known is None:
        message = f"there is no attribute {one.key!r}."
        names = [item.value for item in Attribute if attribute_of(item.value)]
        hint = f"Known are {', '.join(names)}, request.headers[NAME] and request.auth.claims[NAME]."
        yield Finding("KAI2507", Severity.ERROR, source, f"{path}.key", message, hint)
        return
    if not one.values and not one.not_values:
        message = "it has neither values nor notValues."
        yield Finding("KAI2508", Severity.ERROR, source, path, message, "Say one of them.")
    for field, values in (("values", one.values), ("notValues", one.not_values)):
        for index, text in enumerate(values):
            yield from _value_findings(source, f"{path}.{field}[{index}]", known[0], text)


def _value_findings(source: ObjectRef, path: str, attribute: Attribute, text: str) -> Iterator[Finding]:
    problem, hint = "", ""
    if not text:
        problem, hint = "it is empty.", "`*` means any value."
    elif attribute in _ADDRESSES and not _is_subnet(text):
        problem, hint = f"{text!r} is not an address or a subnet.", "Write 192.0.2.1 or 192.0.2.0/24."
    elif attribute is Attribute.DESTINATION_PORT and not is_port(text):
        problem, hint = f"{text!r} is not the number of a port.", "Write a number from 1 to 65535."
    elif attribute is Attribute.SERVICE_ACCOUNT and ("*" in text or text.count("/") > 1):
        problem, hint = f"{text!r} is not a service account.", "Write NAME or NAMESPACE/NAME."
    elif attribute is Attribute.PATH and "{" in text:
        problem, hint = path_template_problem(text), "Of a template, `{*}` is one part and `{**}` all that follows."
    elif "*" in text[1:-1] and attribute is not Attribute.PATH:
        problem, hint = f"in {text!r} the `*` is in the middle, where it means itself.", "It may begin or end a value."
        yield Finding("KAI2510", Severity.WARNING, source, path, problem, hint)
        return
    if problem:
        yield Finding("KAI2509", Severity.ERROR, source, path, problem, hint)
    elif attribute.is_of_token:
        message = "tokens are not verified in this version, so no request has this."
        hint = "Remove the condition; an ALLOW rule with it lets nobody in."
        yield Finding("KAI2511", Severity.WARNING, source, path, message, hint)


def _is_subnet(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_port(text: str) -> bool:
    """Whether a text is the number of a port."""
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def path_template_problem(text: str) -> str:
    """What is wrong with a path template such as `/shop/{*}/items/{**}`; empty if nothing is."""
    parts = text.split("/")
    if not text.startswith("/"):
        return f"the template {text!r} does not begin with a slash."
    if any(("{" in part or "}" in part or "*" in part) and part not in ("{*}", "{**}") for part in _operators(parts)):
        return f"in the template {text!r} a part is neither plain, {{*}} nor {{**}}."
    if "{**}" in parts and (parts.count("{**}") > 1 or "{*}" in parts[parts.index("{**}") :]):
        return f"in the template {text!r} {{**}} is not the last operator."
    return ""


def _operators(parts: Iterable[str]) -> Iterable[str]:
    return (part for part in parts if part)
