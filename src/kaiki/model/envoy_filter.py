"""Patches of generated configuration, as EnvoyFilters ask for them; and what became of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kaiki.model.finding import ObjectRef


class PatchTarget(StrEnum):
    """What is changed."""

    LISTENER = "LISTENER"
    LISTENER_FILTER = "LISTENER_FILTER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"
    BOOTSTRAP = "BOOTSTRAP"


class PatchOperation(StrEnum):
    """How."""

    MERGE = "MERGE"
    ADD = "ADD"
    REMOVE = "REMOVE"
    REPLACE = "REPLACE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"


class FilterClass(StrEnum):
    """Where a filter is added: last, behind the filters that authenticate, behind those that authorize, or before
    those that count (Istio, "EnvoyFilter", `filterClass`)."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


@dataclass(frozen=True, slots=True)
class PatchMatch:
    """Where; what is empty or 0 is not asked for. `metadata` is that of the proxy's node."""

    context: str = "ANY"
    proxy_version: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    listener: str = ""
    port: int = 0
    chain: str = ""
    server_name: str = ""
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    destination_port: int = 0
    filter: str = ""
    sub_filter: str = ""
    listener_filter: str = ""
    table: str = ""
    gateway: str = ""
    port_name: str = ""
    virtual_host: str = ""
    domain: str = ""
    route: str = ""
    route_action: str = "ANY"
    cluster: str = ""
    service: str = ""
    subset: str = ""


@dataclass(frozen=True, slots=True)
class EnvoyPatch:
    """One change; `index` is its place in `configPatches`, `value` Envoy's message as JSON.

    `refused` is why Envoy does not start with it; empty if it does, or where that cannot be told beforehand.
    """

    source: ObjectRef
    index: int
    target: PatchTarget
    operation: PatchOperation
    match: PatchMatch
    value: Mapping[str, Any] = field(default_factory=dict)
    filter_class: FilterClass = FilterClass.UNSPECIFIED
    refused: str = ""


@dataclass(frozen=True, slots=True)
class EnvoyFilter:
    """An EnvoyFilter. An empty selector means every proxy of its namespace (of the mesh, in the root namespace)."""

    source: ObjectRef
    patches: tuple[EnvoyPatch, ...]
    selector: tuple[tuple[str, str], ...] = ()
    gateways: tuple[str, ...] = ()
    priority: int = 0
    created: str = ""

    @property
    def bootstrap_edition(self) -> str:
        """Its patches of the bootstrap as they are now, `namespace/name~hash`; empty without any.

        Proxies read their bootstrap once: this is how one tells which patches it was started with.
        """
        patches = [
            (patch.operation, repr(patch.match), patch.value)
            for patch in self.patches
            if patch.target is PatchTarget.BOOTSTRAP
        ]
        if not patches:
            return ""
        digest = hashlib.sha256(json.dumps(patches, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.source.namespace}/{self.source.name}~{digest}"


@dataclass(frozen=True, slots=True)
class PatchResult:
    """What became of a patch in one proxy: how much it changed, or why it could not.

    `waits`: it changes what the proxy starts with, and the proxy was started before it.
    """

    source: ObjectRef
    index: int
    matched: int = 0
    error: str = ""
    waits: bool = False
