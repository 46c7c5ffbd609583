"""Who may call what: AuthorizationPolicy objects, and those that are for one workload.

A request is refused if a DENY policy matches it, or if there are ALLOW policies and none matches it. Rules: Istio,
"Authorization Policy" reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kaiki.model.finding import ObjectRef
from kaiki.model.well_known import GATEWAY_CLASS_LABEL, GATEWAY_NAME_LABEL, ROOT_NAMESPACE


class AccessAction(StrEnum):
    """What becomes of a request that a rule matches. AUDIT only marks it."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"


class Attribute(StrEnum):
    """What conditions look at; `HEADER`, `CLAIM` and `METADATA` have a name as well."""

    PRINCIPAL = "source.principal"
    NAMESPACE = "source.namespace"
    SERVICE_ACCOUNT = "source.serviceAccount"
    SOURCE_IP = "source.ip"
    REMOTE_IP = "remote.ip"
    REQUEST_PRINCIPAL = "request.auth.principal"
    AUDIENCES = "request.auth.audiences"
    PRESENTER = "request.auth.presenter"
    CLAIM = "request.auth.claims"
    HEADER = "request.headers"
    HOST = "request.host"
    METHOD = "request.method"
    PATH = "request.path"
    DESTINATION_IP = "destination.ip"
    DESTINATION_PORT = "destination.port"
    SERVER_NAME = "connection.sni"
    METADATA = "experimental.envoy.filters"

    @property
    def is_of_token(self) -> bool:
        """Whether only a request with a verified token has it."""
        return self in (Attribute.REQUEST_PRINCIPAL, Attribute.AUDIENCES, Attribute.PRESENTER, Attribute.CLAIM)

    @property
    def is_http(self) -> bool:
        """Whether only HTTP has it."""
        return self.is_of_token or self in (Attribute.HEADER, Attribute.HOST, Attribute.METHOD, Attribute.PATH)

    @property
    def is_of_caller(self) -> bool:
        """Whether it tells of the caller and the request's own words, rather than of what is called."""
        called = (Attribute.HOST, Attribute.METHOD, Attribute.PATH, Attribute.DESTINATION_IP)
        return self not in (*called, Attribute.DESTINATION_PORT, Attribute.SERVER_NAME, Attribute.METADATA)


@dataclass(frozen=True, slots=True)
class Condition:
    """An attribute has one of `values` (none given: it does not matter) and none of `not_values`.

    `*` at an end of a value stands for anything, alone for any value. `name` is that of a header, claim or filter.
    """

    attribute: Attribute
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()
    name: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Matches if all conditions of one of `sources` hold (none given: always), of one of `operations`, and `when`."""

    sources: tuple[tuple[Condition, ...], ...] = ()
    operations: tuple[tuple[Condition, ...], ...] = ()
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """One AuthorizationPolicy. `gateways` and `gateway_classes` are names of the Gateway API's objects it is for.

    One that `is_tried` refuses nobody; what it would do is counted.
    """

    source: ObjectRef
    created: str
    action: AccessAction
    rules: tuple[AccessRule, ...]
    selector: tuple[tuple[str, str], ...] = ()
    gateways: tuple[str, ...] = ()
    gateway_classes: tuple[str, ...] = ()
    has_targets: bool = False
    is_tried: bool = False

    def is_for(self, namespace: str, labels: Iterable[tuple[str, str]]) -> bool:
        """Whether a workload of a namespace with these labels is meant."""
        pairs = dict(labels)
        of_mesh = self.source.namespace == ROOT_NAMESPACE
        if self.has_targets:
            by_class = of_mesh and pairs.get(GATEWAY_CLASS_LABEL) in self.gateway_classes
            return by_class or (self.source.namespace == namespace and pairs.get(GATEWAY_NAME_LABEL) in self.gateways)
        return (of_mesh or self.source.namespace == namespace) and set(self.selector) <= pairs.items()


def access_policies(
    policies: Iterable[AccessPolicy], namespace: str, labels: Iterable[tuple[str, str]]
) -> tuple[AccessPolicy, ...]:
    """The policies for a workload, the oldest first as they are given."""
    labels = tuple(labels)
    return tuple(one for one in policies if one.is_for(namespace, labels))
