"""Telemetry against the mesh: providers nobody knows, backends that are not there, objects that never apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kaiki.interpret.telemetry_providers import METRICS_PROVIDER
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.policy.telemetry import LogProvider, TelemetryPolicy, Tracer, TracerKind, service_host
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE


def telemetry_findings(snapshot: MeshSnapshot, policy: TelemetryPolicy) -> Iterator[Finding]:
    """Findings about one Telemetry object."""
    settings = snapshot.settings.telemetry
    named: tuple[tuple[str, Iterable[tuple[str, ...]], set[str]], ...] = (
        ("tracing", (rule.providers for rule in policy.tracing), {one.name for one in settings.tracers}),
        ("metrics", (rule.providers for rule in policy.metrics), {METRICS_PROVIDER}),
        ("accessLogging", (rule.providers for rule in policy.logging), {one.name for one in settings.logs}),
    )
    for field, providers, known in named:
        for name in dict.fromkeys(name for names in providers for name in names if name not in known):
            message = f"no provider for {field} is called {name!r}."
            hint = "Add it to extensionProviders in the mesh config (ConfigMap istio-system/istio)."
            yield Finding("KAI1206", Severity.WARNING, policy.source, f"spec.{field}", message, hint)
    if policy.tracing and not settings.default_tracers and not any(rule.providers for rule in policy.tracing):
        message = "no tracing provider is named here, and the mesh config has no default one."
        if not _inherits_tracer(snapshot, policy):
            yield Finding("KAI1207", Severity.WARNING, policy.source, "spec.tracing", message, "Name one in providers.")
    older = _older_one(snapshot, policy)
    if older is not None:
        message = f"{older} is older and for the same workloads: only that one is in force."
        yield Finding("KAI1208", Severity.WARNING, policy.source, "spec", message, "Merge the two.")


def _inherits_tracer(snapshot: MeshSnapshot, policy: TelemetryPolicy) -> bool:
    spaces = (ROOT_NAMESPACE, policy.source.namespace)
    return any(
        rule.providers
        for other in snapshot.telemetry
        if other.is_general and other.source.namespace in spaces
        for rule in other.tracing
    )


def _older_one(snapshot: MeshSnapshot, policy: TelemetryPolicy) -> ObjectRef | None:
    if policy.gateways:
        return None
    for other in snapshot.telemetry:
        same = (other.source.namespace, other.selector) == (policy.source.namespace, policy.selector)
        if other.source == policy.source:
            return None
        if same and not other.gateways:
            return other.source
    return None


def provider_findings(snapshot: MeshSnapshot, config: ObjectRef) -> Iterator[Finding]:
    """Findings about the providers of the mesh config: who is not there cannot be told anything."""
    settings = snapshot.settings.telemetry
    remote: list[Tracer | LogProvider] = [*settings.tracers, *(one for one in settings.logs if one.kind.is_remote)]
    for provider in remote:
        if cause := _unreachable(snapshot, provider):
            path = f"data.mesh.extensionProviders[{provider.name}]"
            yield Finding("KAI1209", Severity.WARNING, config, path, cause, "Proxies send nothing to it.")


def _unreachable(snapshot: MeshSnapshot, provider: Tracer | LogProvider) -> str:
    host = service_host(provider.service, snapshot.services)
    if not host:
        return f"no service is called {provider.service}; one outside the mesh needs a ServiceEntry."
    port = snapshot.services[host].port(provider.port)
    if port is None:
        return f"{host} has no port {provider.port}."
    over_http = isinstance(provider, Tracer) and (provider.kind is TracerKind.ZIPKIN or bool(provider.path))
    if not over_http and not port.protocol.is_http2:
        return f"port {provider.port} of {host} is not declared as gRPC: call it grpc-… or set appProtocol: grpc."
    return ""
