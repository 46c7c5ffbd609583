"""The CustomResourceDefinitions of Istio's APIs, generated from the types that read the objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaiki.resources.istio.authorization_policy import AuthorizationPolicySpec
from kaiki.resources.istio.common import ApiType
from kaiki.resources.istio.destination_rule import DestinationRuleSpec
from kaiki.resources.istio.envoy_filter import EnvoyFilterSpec
from kaiki.resources.istio.gateway import GatewaySpec
from kaiki.resources.istio.peer_authentication import PeerAuthenticationSpec
from kaiki.resources.istio.proxy_config import ProxyConfigSpec
from kaiki.resources.istio.request_authentication import RequestAuthenticationSpec
from kaiki.resources.istio.service_entry import ServiceEntrySpec, WorkloadEntry
from kaiki.resources.istio.sidecar import SidecarSpec
from kaiki.resources.istio.telemetry import TelemetrySpec
from kaiki.resources.istio.virtual_service import VirtualServiceSpec
from kaiki.resources.istio.wasm_plugin import WasmPluginSpec
from kaiki.resources.istio.workload_group import WorkloadGroupSpec
from kaiki.resources.schema import Schema, schema_of

_GROUP = "networking.istio.io"
_VERSIONS = ("v1", "v1beta1", "v1alpha3")
"""The first is the one stored; all have the same schema."""
_SECURITY = "security.istio.io"
_SECURITY_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class _Kind:
    kind: str
    plural: str
    short: str
    spec: type[ApiType]
    columns: tuple[tuple[str, str, str], ...]
    group: str = _GROUP
    versions: tuple[str, ...] = _VERSIONS


_KINDS = (
    _Kind(
        "AuthorizationPolicy",
        "authorizationpolicies",
        "ap",
        AuthorizationPolicySpec,
        (("Action", ".spec.action", "What becomes of requests that match."),),
        _SECURITY,
        _SECURITY_VERSIONS,
    ),
    _Kind("DestinationRule", "destinationrules", "dr", DestinationRuleSpec, (("Host", ".spec.host", "The host."),)),
    _Kind("EnvoyFilter", "envoyfilters", "envoyfilter", EnvoyFilterSpec, (), versions=("v1alpha3",)),
    _Kind("Gateway", "gateways", "gw", GatewaySpec, ()),
    _Kind(
        "PeerAuthentication",
        "peerauthentications",
        "pa",
        PeerAuthenticationSpec,
        (("Mode", ".spec.mtls.mode", "Which TLS is taken from other workloads."),),
        _SECURITY,
        _SECURITY_VERSIONS,
    ),
    _Kind(
        "RequestAuthentication",
        "requestauthentications",
        "ra",
        RequestAuthenticationSpec,
        (),
        _SECURITY,
        _SECURITY_VERSIONS,
    ),
    _Kind(
        "ServiceEntry",
        "serviceentries",
        "se",
        ServiceEntrySpec,
        (
            ("Hosts", ".spec.hosts", "The hosts of the entry."),
            ("Location", ".spec.location", "Whether the hosts are in the mesh."),
            ("Resolution", ".spec.resolution", "How endpoints are found."),
        ),
    ),
    _Kind("Telemetry", "telemetries", "telemetry", TelemetrySpec, (), "telemetry.istio.io", ("v1", "v1alpha1")),
    _Kind(
        "WorkloadEntry",
        "workloadentries",
        "we",
        WorkloadEntry,
        (("Address", ".spec.address", "Where the workload is."),),
    ),
    _Kind("ProxyConfig", "proxyconfigs", "pc", ProxyConfigSpec, (), versions=("v1beta1",)),
    _Kind("WasmPlugin", "wasmplugins", "", WasmPluginSpec, (), "extensions.istio.io", ("v1alpha1",)),
    _Kind("WorkloadGroup", "workloadgroups", "wg", WorkloadGroupSpec, ()),
    _Kind("Sidecar", "sidecars", "sidecar", SidecarSpec, ()),
    _Kind(
        "VirtualService",
        "virtualservices",
        "vs",
        VirtualServiceSpec,
        (
            ("Gateways", ".spec.gateways", "The gateways whose traffic is routed."),
            ("Hosts", ".spec.hosts", "The hosts whose traffic is routed."),
        ),
    ),
)


def custom_resource_definitions() -> list[dict[str, Any]]:
    """The CRDs as JSON, sorted by name; a new value every time."""
    return [_definition(kind) for kind in _KINDS]


def _definition(kind: _Kind) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"app.kubernetes.io/part-of": "kaiki"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                **({"shortNames": [kind.short]} if kind.short else {}),
                "categories": ["istio-io", kind.group.replace(".", "-")],
            },
            "versions": [_version(name, kind) for name in kind.versions],
        },
    }


def _version(name: str, kind: _Kind) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": name == kind.versions[0],
        "subresources": {"status": {}},
        "additionalPrinterColumns": [*_columns(kind), _AGE],
        "schema": {"openAPIV3Schema": _schema(kind)},
    }


_AGE = {
    "name": "Age",
    "type": "date",
    "jsonPath": ".metadata.creationTimestamp",
    "description": "How long ago the object was made.",
}


def _columns(kind: _Kind) -> list[dict[str, str]]:
    return [
        {"name": name, "type": "string", "jsonPath": path, "description": description}
        for name, path, description in kind.columns
    ]


def _schema(kind: _Kind) -> Schema:
    return {
        "type": "object",
        "description": (kind.spec.__doc__ or "").split("\n")[0],
        "properties": {
            "spec": schema_of(kind.spec),
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
