"""What Envoy's RBAC decides about a request: rules of `envoy.config.rbac.v3`, evaluated as Envoy does.

What a request is not known to have (tokens, metadata of other filters) it does not have.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

import re2
from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2

from kaiki.model.finding import ObjectRef
from kaiki.translate.simulation.matching import header_fits, text_fits
from kaiki.translate.simulation.values import Request

_NAME = re.compile(r"ns\[(?P<namespace>[^\]]*)\]-policy\[(?P<name>[^\]]*)\]-rule\[(?P<rule>\d+)\]")


class Decision(NamedTuple):
    """Whether a filter lets a request pass, and the policy that matched (empty: none did)."""

    passes: bool
    policy: str = ""

    @property
    def source(self) -> ObjectRef | None:
        """The AuthorizationPolicy that matched."""
        found = _NAME.fullmatch(self.policy)
        return ObjectRef("AuthorizationPolicy", found["namespace"], found["name"]) if found else None

    @property
    def field(self) -> str:
        """Its rule."""
        found = _NAME.fullmatch(self.policy)
        return f"spec.rules[{found['rule']}]" if found else ""


def decide(rules: rbac_pb2.RBAC, request: Request) -> Decision:
    """What a filter with these rules does; of several policies that match, the first by name is told."""
    matched = next((name for name in sorted(rules.policies) if _matches(rules.policies[name], request)), "")
    if rules.action == rbac_pb2.RBAC.LOG:
        return Decision(True, matched)
    return Decision(bool(matched) == (rules.action == rbac_pb2.RBAC.ALLOW), matched)


def _matches(policy: rbac_pb2.Policy, request: Request) -> bool:
    called = any(_is_called(one, request) for one in policy.permissions)
    return called and any(_is_caller(one, request) for one in policy.principals)


def _headers(request: Request) -> dict[str, str]:
    own = {name.lower(): value for name, value in request.headers.items()}
    return {":path": request.path, ":method": request.method, ":authority": request.host, **own}


def _is_called(one: rbac_pb2.Permission, request: Request) -> bool:
    match one.WhichOneof("rule"):
        case "any":
            return bool(one.any)
        case "and_rules":
            return all(_is_called(item, request) for item in one.and_rules.rules)
        case "or_rules":
            return any(_is_called(item, request) for item in one.or_rules.rules)
        case "not_rule":
            return not _is_called(one.not_rule, request)
        case "header":
            return header_fits(one.header, _headers(request))
        case "url_path":
            return text_fits(one.url_path.path, request.path.partition("?")[0])
        case "uri_template":
            config = uri_template_match_pb2.UriTemplateMatchConfig.FromString(one.uri_template.typed_config.value)
            return _fits_template(config.path_template, request.path.partition("?")[0])
        case "destination_port":
            return bool(one.destination_port == request.port)
        case "destination_ip":
            return _within(one.destination_ip, request.address)
        case "requested_server_name":
            return text_fits(one.requested_server_name, request.server_name)
    return False


def _is_caller(one: rbac_pb2.Principal, request: Request) -> bool:
    match one.WhichOneof("identifier"):
        case "any":
            return bool(one.any)
        case "and_ids":
            return all(_is_caller(item, request) for item in one.and_ids.ids)
        case "or_ids":
            return any(_is_caller(item, request) for item in one.or_ids.ids)
        case "not_id":
            return not _is_caller(one.not_id, request)
        case "authenticated":
            return bool(request.principal) and text_fits(one.authenticated.principal_name, request.principal)
        case "direct_remote_ip" | "remote_ip" as kind:
            return _within(getattr(one, kind), request.source_address)
        case "header":
            return header_fits(one.header, _headers(request))
    return False


def _within(subnet: address_pb2.CidrRange, address: str) -> bool:
    if not address:
        return False
    network = ipaddress.ip_network(f"{subnet.address_prefix}/{subnet.prefix_len.value}", strict=False)
    return ipaddress.ip_address(address) in network


def _fits_template(template: str, path: str) -> bool:
    """`*` is one part of a path, `**` any number of them (Envoy, "URI template")."""
    parts = {"*": "[^/]+", "**": ".*"}
    expression = "/".join(parts.get(part) or re2.escape(part) for part in template.split("/"))
    return re2.fullmatch(expression, path) is not None
