"""WasmPlugin: WebAssembly in a proxy's filter chain (Istio, "Wasm Plugin" reference)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, PolicyTargetReference, PortNumber, WorkloadSelector


class EnvVar(ApiType, frozen=True):
    """An environment variable of the virtual machine: written here, or the proxy's own."""

    name: Annotated[str, Meta(min_length=1)]
    value_from: Literal["INLINE", "HOST"] = "INLINE"
    value: str = ""


class VmConfig(ApiType, frozen=True):
    """What the plugin's virtual machine is given."""

    env: tuple[EnvVar, ...] = ()


class TrafficPort(ApiType, frozen=True):
    """A port by its number."""

    number: PortNumber


class TrafficSelector(ApiType, frozen=True):
    """Which traffic of a workload the plugin sees."""

    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] = "UNDEFINED"
    ports: tuple[TrafficPort, ...] = ()


class WasmPluginSpec(ApiType, frozen=True):
    """WebAssembly that sees the traffic of some workloads."""

    ONE_OF = (("selector", "targetRef", "targetRefs"),)
    NOT_IN_FORCE = {"url": "Write an EnvoyFilter with a filter that Envoy has, Lua for instance."}

    url: Annotated[str, Meta(min_length=1)]
    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    sha256: str = ""
    image_pull_policy: Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"] = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: str = ""
    plugin_config: dict[str, Any] = {}
    plugin_name: str = ""
    phase: Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED_PHASE"
    priority: int | None = None
    fail_strategy: Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"] = "FAIL_CLOSE"
    vm_config: VmConfig | None = None
    match: tuple[TrafficSelector, ...] = ()
    type: Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"] = "UNSPECIFIED_PLUGIN_TYPE"
