"""AuthorizationPolicies as Envoy's RBAC: one filter that denies, one that allows, one that marks.

Each rule is a policy named `ns[NAMESPACE]-policy[NAME]-rule[N]`, as in Istio, which is what a refused request's access
log says. Where bytes are spoken, what only HTTP has is no condition of a DENY rule, and one no ALLOW rule can meet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2
from envoy.type.matcher.v3 import metadata_pb2, string_pb2

from kaiki.model.policy.access import AccessAction, AccessPolicy, AccessRule, Attribute, Condition
from kaiki.translate.encode import pack

HTTP_FILTER = "envoy.filters.http.rbac"
NETWORK_FILTER = "envoy.filters.network.rbac"
_TOKEN_FILTER = "envoy.filters.http.jwt_authn"
_STATISTICS = "tcp."
_ACTIONS = {
    AccessAction.DENY: rbac_pb2.RBAC.DENY,
    AccessAction.ALLOW: rbac_pb2.RBAC.ALLOW,
    AccessAction.AUDIT: rbac_pb2.RBAC.LOG,
}
_HEADERS = {Attribute.HOST: ":authority", Attribute.METHOD: ":method"}
_SPIFFE = "spiffe://"


def access_filters(policies: tuple[AccessPolicy, ...]) -> list[http.HttpFilter]:
    """The HTTP filters for the policies of one workload, in the order in which they are asked."""
    made = []
    for action, rules, shadow in _by_action(policies, bytes_only=False):
        config = http_rbac_pb2.RBAC()
        _set(config, action, rules, shadow)
        made.append(http.HttpFilter(name=HTTP_FILTER, typed_config=pack(config)))
    return made


def network_access_filters(policies: tuple[AccessPolicy, ...]) -> list[listener_components_pb2.Filter]:
    """The network filters for the policies of one workload, where it speaks bytes."""
    made = []
    for action, rules, shadow in _by_action(policies, bytes_only=True):
        config = network_rbac_pb2.RBAC(stat_prefix=_STATISTICS)
        _set(config, action, rules, shadow)
        made.append(listener_components_pb2.Filter(name=NETWORK_FILTER, typed_config=pack(config)))
    return made


def _set(
    config: http_rbac_pb2.RBAC | network_rbac_pb2.RBAC,
    action: AccessAction,
    rules: rbac_pb2.RBAC | None,
    shadow: rbac_pb2.RBAC | None,
) -> None:
    if rules is not None:
        config.rules.CopyFrom(rules)
    if shadow is not None:
        config.shadow_rules.CopyFrom(shadow)
        config.shadow_rules_stat_prefix = f"istio_dry_run_{action.value.lower()}_"


def _by_action(
    policies: tuple[AccessPolicy, ...], bytes_only: bool
) -> Iterator[tuple[AccessAction, rbac_pb2.RBAC | None, rbac_pb2.RBAC | None]]:
    """(action, rules in force, rules that are only tried) of every action there is a policy for."""
    for action in _ACTIONS:
        real, tried = (
            [one for one in policies if one.action is action and one.is_tried is is_tried] for is_tried in (False, True)
        )
        rules, shadow = (_rules(action, some, bytes_only) if some else None for some in (real, tried))
        if any(one is not None and (one.policies or action is AccessAction.ALLOW) for one in (rules, shadow)):
            yield action, rules, shadow


def _rules(action: AccessAction, policies: Iterable[AccessPolicy], bytes_only: bool) -> rbac_pb2.RBAC:
    made = rbac_pb2.RBAC(action=_ACTIONS[action])
    for policy in policies:
        for index, rule in enumerate(policy.rules):
            if bytes_only and action is not AccessAction.DENY and _asks_for_http(rule):
                continue
            name = f"ns[{policy.source.namespace}]-policy[{policy.source.name}]-rule[{index}]"
            made.policies[name].CopyFrom(_policy(rule, bytes_only))
    return made


def _asks_for_http(rule: AccessRule) -> bool:
    groups = (*rule.sources, *rule.operations, rule.when)
    return any(one.attribute.is_http for group in groups for one in group)


def _policy(rule: AccessRule, bytes_only: bool) -> rbac_pb2.Policy:
    def usable(conditions: Iterable[Condition]) -> list[Condition]:
        return [one for one in conditions if not (bytes_only and one.attribute.is_http)]

    when = usable(rule.when)
    policy = rbac_pb2.Policy()
    operations = [[*usable(group), *_called(when)] for group in rule.operations or ((),)]
    sources = [[*usable(group), *_calling(when)] for group in rule.sources or ((),)]
    policy.permissions.extend(_all_permissions(group) for group in operations)
    policy.principals.extend(_all_principals(group) for group in sources)
    return policy


def _called(when: Iterable[Condition]) -> Iterator[Condition]:
    return (one for one in when if not one.attribute.is_of_caller)


def _calling(when: Iterable[Condition]) -> Iterator[Condition]:
    return (one for one in when if one.attribute.is_of_caller)


# What is called


def _all_permissions(conditions: Iterable[Condition]) -> rbac_pb2.Permission:
    made = rbac_pb2.Permission()
    made.and_rules.SetInParent()
    for one in conditions:
        if one.values:
            made.and_rules.rules.add().or_rules.rules.extend(_permission(one, text) for text in one.values)
        if one.not_values:
            others = made.and_rules.rules.add().not_rule
            others.or_rules.rules.extend(_permission(one, text) for text in one.not_values)
    if not made.and_rules.rules:
        made.any = True
    return made


def _permission(condition: Condition, text: str) -> rbac_pb2.Permission:
    made = rbac_pb2.Permission()
    match condition.attribute:
        case Attribute.DESTINATION_PORT:
            made.destination_port = int(text)
        case Attribute.DESTINATION_IP:
            made.destination_ip.CopyFrom(_subnet(text))
        case Attribute.SERVER_NAME:
            made.requested_server_name.CopyFrom(_text(text))
        case Attribute.PATH if "{" in text:
            made.uri_template.name = "uri-template"
            made.uri_template.typed_config.CopyFrom(pack(_template(text)))
        case Attribute.PATH:
            made.url_path.path.CopyFrom(_text(text))
        case Attribute.METADATA:
            made.metadata.CopyFrom(_metadata(condition.name[0], condition.name[1:], text))
        case _:
            ignore_case = condition.attribute is Attribute.HOST
            made.header.CopyFrom(_header(_HEADERS[condition.attribute], text, ignore_case))
    return made


def _template(text: str) -> uri_template_match_pb2.UriTemplateMatchConfig:
    return uri_template_match_pb2.UriTemplateMatchConfig(path_template=text.replace("{**}", "**").replace("{*}", "*"))


# Who calls


def _all_principals(conditions: Iterable[Condition]) -> rbac_pb2.Principal:
    made = rbac_pb2.Principal()
    made.and_ids.SetInParent()
    for one in conditions:
        if one.values:
            made.and_ids.ids.add().or_ids.ids.extend(_principal(one, text) for text in one.values)
        if one.not_values:
            made.and_ids.ids.add().not_id.or_ids.ids.extend(_principal(one, text) for text in one.not_values)
    if not made.and_ids.ids:
        made.any = True
    return made


def _principal(condition: Condition, text: str) -> rbac_pb2.Principal:
    made = rbac_pb2.Principal()
    attribute = condition.attribute
    match attribute:
        case Attribute.SOURCE_IP:
            made.direct_remote_ip.CopyFrom(_subnet(text))
        case Attribute.REMOTE_IP:
            made.remote_ip.CopyFrom(_subnet(text))
        case Attribute.HEADER:
            made.header.CopyFrom(_header(condition.name[0], text))
        case Attribute.PRINCIPAL | Attribute.NAMESPACE | Attribute.SERVICE_ACCOUNT:
            made.authenticated.principal_name.CopyFrom(_IDENTITIES[attribute](text))
        case _:
            path = condition.name if attribute is Attribute.CLAIM else (_TOKEN_PARTS[attribute],)
            made.metadata.CopyFrom(_metadata(_TOKEN_FILTER, ("payload", *path), text))
    return made


_TOKEN_PARTS = {Attribute.REQUEST_PRINCIPAL: "sub", Attribute.AUDIENCES: "aud", Attribute.PRESENTER: "azp"}


def _of_principal(text: str) -> string_pb2.StringMatcher:
    """`cluster.local/ns/NAMESPACE/sa/NAME`, which certificates carry with their scheme before it."""
    if text == "*":
        return _expression(".+")
    return _text(text) if text.startswith("*") else _text(_SPIFFE + text)


def _of_namespace(text: str) -> string_pb2.StringMatcher:
    part = "[^/]+" if text == "*" else re.escape(text.strip("*"))
    before, after = (
        ("[^/]*" if text != "*" and text.startswith("*") else ""),
        ("[^/]*" if text[1:].endswith("*") else ""),
    )
    return _expression(f"{_SPIFFE}[^/]+/ns/{before}{part}{after}/sa/.*")


def _of_service_account(text: str) -> string_pb2.StringMatcher:
    namespace, _, name = text.partition("/")
    return _expression(f"{_SPIFFE}[^/]+/ns/{re.escape(namespace)}/sa/{re.escape(name)}")


_IDENTITIES: dict[Attribute, Callable[[str], string_pb2.StringMatcher]] = {
    Attribute.PRINCIPAL: _of_principal,
    Attribute.NAMESPACE: _of_namespace,
    Attribute.SERVICE_ACCOUNT: _of_service_account,
}


# Values


def _text(text: str, ignore_case: bool = False) -> string_pb2.StringMatcher:
    made = string_pb2.StringMatcher(ignore_case=ignore_case)
    if text == "*":
        return _expression(".+")
    if text.startswith("*"):
        made.suffix = text[1:]
    elif text.endswith("*"):
        made.prefix = text[:-1]
    else:
        made.exact = text
    return made


def _expression(text: str) -> string_pb2.StringMatcher:
    made = string_pb2.StringMatcher()
    made.safe_regex.regex = text
    return made


def _header(name: str, text: str, ignore_case: bool = False) -> route_components_pb2.HeaderMatcher:
    made = route_components_pb2.HeaderMatcher(name=name)
    if text == "*":
        made.present_match = True
    else:
        made.string_match.CopyFrom(_text(text, ignore_case))
    return made


def _metadata(filter_name: str, path: Iterable[str], text: str) -> metadata_pb2.MetadataMatcher:
    made = metadata_pb2.MetadataMatcher(filter=filter_name)
    for key in path:
        made.path.add(key=key)
    if text.startswith("[") and text.endswith("]"):
        made.value.list_match.one_of.string_match.CopyFrom(_text(text[1:-1]))
    else:
        made.value.string_match.CopyFrom(_text(text))
    return made


def _subnet(text: str) -> address_pb2.CidrRange:
    network = ipaddress.ip_network(text, strict=False)
    made = address_pb2.CidrRange(address_prefix=str(network.network_address))
    made.prefix_len.value = network.prefixlen
    return made
