"""AuthorizationPolicy: who may call what (Istio, "Authorization Policy" reference)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kaiki.resources.istio.common import ApiType, PolicyTargetReference, WorkloadSelector


class Source(ApiType, frozen=True):
    """Who calls. All fields that are set must hold; of the values of one field, one."""

    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class Operation(ApiType, frozen=True):
    """What is called. All fields that are set must hold; of the values of one field, one."""

    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class From(ApiType, frozen=True):
    """One alternative of who calls."""

    source: Source | None = None


class To(ApiType, frozen=True):
    """One alternative of what is called."""

    operation: Operation | None = None


class Condition(ApiType, frozen=True):
    """A further condition: an attribute has one of these values, or none of those."""

    key: Annotated[str, Meta(min_length=1)]
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class Rule(ApiType, frozen=True):
    """Matches what one of `from` calls at one of `to`, under all conditions; an empty list asks for nothing."""

    from_: tuple[From, ...] = msgspec.field(default=(), name="from")
    to: tuple[To, ...] = ()
    when: tuple[Condition, ...] = ()


class ExtensionProvider(ApiType, frozen=True):
    """A provider of the mesh config that decides (CUSTOM)."""

    name: str = ""


class AuthorizationPolicySpec(ApiType, frozen=True):
    """Who may call what, for the mesh, a namespace or some workloads; without rules nothing matches."""

    ONE_OF = (("selector", "targetRef", "targetRefs"),)

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    rules: tuple[Rule, ...] = ()
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] = "ALLOW"
    provider: ExtensionProvider | None = None
