"""What the mesh config says of telemetry: extension providers, default providers, access log file, `tracing`.

Problems are values: (path below `data.mesh`, message). Shapes and defaults: Istio, "Global Mesh Options".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from kaiki.interpret.telemetry import custom_tags
from kaiki.model.identity import DEFAULT_TRUST_DOMAIN
from kaiki.model.policy.telemetry import (
    DEFAULT_PATH_LENGTH,
    LogKind,
    LogProvider,
    TelemetrySettings,
    Tracer,
    TracerKind,
    TracingDefaults,
)
from kaiki.resources.istio.common import DURATION_PATTERN, seconds
from kaiki.resources.istio.telemetry import CustomTag

Problem = tuple[str, str]
METRICS_PROVIDER = "prometheus"
STANDARD_LOG = "envoy"
"""The name of the built-in provider that writes to standard output."""
_STANDARD_OUTPUT = "/dev/stdout"
_OTHER_KINDS = ("datadog", "skywalking", "lightstep", "opencensus", "stackdriver")
_OF_OTHERS = ("envoyExtAuthzHttp", "envoyExtAuthzGrpc", "sds")
_OPENTELEMETRY, _ZIPKIN = "opentelemetry", "zipkin"
_LEGACY_TRACER = "defaultConfig.tracing.zipkin"


def telemetry_settings(mesh: Mapping[str, Any]) -> tuple[TelemetrySettings, tuple[Problem, ...]]:
    """Read the mesh config; what cannot be read is a problem, and the default holds."""
    problems: list[Problem] = []
    settings = TelemetrySettings(
        tracing_enabled=mesh.get("enableTracing", True) is not False,
        mesh_id=str(
            _mapping(mesh.get("defaultConfig")).get("meshId") or mesh.get("trustDomain") or DEFAULT_TRUST_DOMAIN
        ),
    )
    settings = _with_standard_log(settings, mesh)
    settings = _with_providers(settings, mesh, problems)
    settings = _with_defaults(settings, mesh, problems)
    settings = _with_tracing(settings, mesh, problems)
    return settings, tuple(problems)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _with_standard_log(settings: TelemetrySettings, mesh: Mapping[str, Any]) -> TelemetrySettings:
    """The log file of the whole mesh, and Istio's provider `envoy`, in the format the mesh config gives them."""
    path, text, encoding = (str(mesh.get(f"accessLog{name}") or "") for name in ("File", "Format", "Encoding"))
    as_json = encoding.upper() == "JSON"
    log = LogProvider(
        name=STANDARD_LOG,
        kind=LogKind.FILE,
        path=path or _STANDARD_OUTPUT,
        text="" if as_json else text,
        fields=_json_fields(text) if as_json else (),
        json=as_json,
    )
    return replace(settings, logs=(log,), default_logs=(STANDARD_LOG,) if path else ())


def _json_fields(text: str) -> tuple[tuple[str, str], ...]:
    try:
        document = json.loads(text) if text else None
    except ValueError:
        document = None
    return _labels(document)


def _labels(document: Any) -> tuple[tuple[str, str], ...]:
    """Names and format strings of a JSON format; a nested value is kept as its JSON."""
    return tuple(
        (str(key), value if isinstance(value, str) else json.dumps(value)) for key, value in _mapping(document).items()
    )


def _with_providers(settings: TelemetrySettings, mesh: Mapping[str, Any], problems: list[Problem]) -> TelemetrySettings:
    tracers: dict[str, Tracer] = {}
    logs = {one.name: one for one in settings.logs}
    providers = mesh.get("extensionProviders") or []
    for index, item in enumerate(providers if isinstance(providers, list) else []):
        path, provider = f"extensionProviders[{index}]", _mapping(item)
        name = str(provider.get("name") or "")
        if not name:
            problems.append((path, "the provider has no name."))
            continue
        for found in _provider(name, provider, path, problems):
            if isinstance(found, Tracer):
                tracers.setdefault(name, found)
            else:
                logs[name] = found
    return replace(settings, tracers=tuple(tracers.values()), logs=tuple(logs.values()))


def _provider(
    name: str, provider: Mapping[str, Any], path: str, problems: list[Problem]
) -> Iterator[Tracer | LogProvider]:
    for kind, value in provider.items():
        read = _READERS.get(kind)
        if kind in _OTHER_KINDS:
            problems.append((f"{path}.{kind}", "providers of this kind are not in force in this version."))
        elif read is None and kind not in ("name", METRICS_PROVIDER, *_OF_OTHERS):
            problems.append((f"{path}.{kind}", "this is no kind of provider."))
        elif read is not None:
            try:
                yield read(name, _mapping(value))
            except (ValueError, TypeError) as error:
                problems.append((f"{path}.{kind}", f"{error}."))


def _service(config: Mapping[str, Any]) -> tuple[str, int]:
    service, port = config.get("service"), config.get("port")
    if not isinstance(service, str) or not service:
        raise ValueError("the provider's service is missing")
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise ValueError("the provider's port must be a number from 1 to 65535")
    return service.rpartition("/")[2], port


def _path_length(config: Mapping[str, Any]) -> int:
    value = config.get("maxTagLength")
    return value if isinstance(value, int) and value > 0 else DEFAULT_PATH_LENGTH


def _timeout_seconds(http: Mapping[str, Any]) -> float:
    text = str(http.get("timeout") or "10s")
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(f"http.timeout must be a duration such as 3s, not {text!r}")
    return seconds(text)


def _opentelemetry(name: str, config: Mapping[str, Any]) -> Tracer:
    service, port = _service(config)
    http = _mapping(config.get("http"))
    tracer = Tracer(name, TracerKind.OPENTELEMETRY, service, port, path_length=_path_length(config))
    if not http:
        return tracer
    path = str(http.get("path") or "")
    if not path.startswith("/"):
        raise ValueError("http.path must begin with a slash")
    headers = tuple(
        (str(_mapping(one).get("name")), str(_mapping(one).get("value") or "")) for one in http.get("headers") or ()
    )
    return replace(tracer, path=path, headers=headers, timeout_seconds=_timeout_seconds(http))


def _zipkin(name: str, config: Mapping[str, Any]) -> Tracer:
    service, port = _service(config)
    return Tracer(
        name,
        TracerKind.ZIPKIN,
        service,
        port,
        path=str(config.get("path") or "/api/v2/spans"),
        path_length=_path_length(config),
        short_trace_ids=config.get("enable64bitTraceId") is False,
        w3c=config.get("traceContextOption") == "USE_B3_WITH_W3C_PROPAGATION",
    )


def _file_log(name: str, config: Mapping[str, Any]) -> LogProvider:
    path = str(config.get("path") or _STANDARD_OUTPUT)
    written = _mapping(config.get("logFormat"))
    fields = _labels(written.get("labels"))
    return LogProvider(
        name, LogKind.FILE, path, text=str(written.get("text") or ""), fields=fields, json="labels" in written
    )


def _grpc_log(kind: LogKind) -> Callable[[str, Mapping[str, Any]], LogProvider]:
    def read(name: str, config: Mapping[str, Any]) -> LogProvider:
        service, port = _service(config)
        written = _mapping(config.get("logFormat"))
        return LogProvider(
            name,
            kind,
            service=service,
            port=port,
            log_name=str(config.get("logName") or ""),
            text=str(written.get("text") or ""),
            fields=_labels(written.get("labels")),
            filter_state=_texts(config.get("filterStateObjectsToLog")),
            request_headers=_texts(config.get("additionalRequestHeadersToLog")),
            response_headers=_texts(config.get("additionalResponseHeadersToLog")),
            response_trailers=_texts(config.get("additionalResponseTrailersToLog")),
        )

    return read


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


_READERS: dict[str, Callable[[str, Mapping[str, Any]], Tracer | LogProvider]] = {
    _OPENTELEMETRY: _opentelemetry,
    _ZIPKIN: _zipkin,
    "envoyFileAccessLog": _file_log,
    "envoyHttpAls": _grpc_log(LogKind.HTTP_GRPC),
    "envoyTcpAls": _grpc_log(LogKind.TCP_GRPC),
    "envoyOtelAls": _grpc_log(LogKind.OPENTELEMETRY),
}


def _with_defaults(settings: TelemetrySettings, mesh: Mapping[str, Any], problems: list[Problem]) -> TelemetrySettings:
    defaults = _mapping(mesh.get("defaultProviders"))
    tracers, logs = _texts(defaults.get("tracing")), _texts(defaults.get("accessLogging"))
    for field, names, known in (
        ("tracing", tracers, {one.name for one in settings.tracers}),
        ("accessLogging", logs, {one.name for one in settings.logs}),
    ):
        for name in names:
            if name not in known:
                problems.append((f"defaultProviders.{field}", f"no extension provider for this is called {name!r}."))
    metrics = _texts(defaults["metrics"]) if "metrics" in defaults else settings.default_metrics
    return replace(
        settings, default_tracers=tracers, default_logs=logs or settings.default_logs, default_metrics=metrics
    )


def _with_tracing(settings: TelemetrySettings, mesh: Mapping[str, Any], problems: list[Problem]) -> TelemetrySettings:
    """`defaultConfig.tracing`; its backend is the default where there is no default provider."""
    tracing = _mapping(_mapping(mesh.get("defaultConfig")).get("tracing"))
    try:
        settings = replace(settings, tracing=tracing_defaults(tracing))
    except (ValueError, TypeError) as error:
        problems.append(("defaultConfig.tracing", f"{error}."))
    for kind in set(tracing) & {*_OTHER_KINDS, "openCensusAgent"}:
        problems.append((f"defaultConfig.tracing.{kind}", "tracers of this kind are not in force in this version."))
    address = str(_mapping(tracing.get(_ZIPKIN)).get("address") or "")
    host, _, port = address.rpartition(":")
    if not address:
        return settings
    if not host or not port.isdigit():
        problems.append((f"{_LEGACY_TRACER}.address", "the address must be host:port."))
        return settings
    tracer = Tracer(_LEGACY_TRACER, TracerKind.ZIPKIN, host, int(port), path="/api/v2/spans")
    return replace(
        settings,
        tracers=(*settings.tracers, tracer),
        default_tracers=settings.default_tracers or (_LEGACY_TRACER,),
    )


def tracing_defaults(tracing: Mapping[str, Any]) -> TracingDefaults:
    """`tracing` of a ProxyConfig, of the mesh or of a pod; raises ValueError or TypeError."""
    sampling = tracing.get("sampling")
    if sampling is not None and (not isinstance(sampling, int | float) or not 0 <= sampling <= 100):
        raise ValueError(f"sampling must be a percentage from 0 to 100, not {sampling!r}")
    tags = tracing.get("customTags", tracing.get("custom_tags"))
    length = tracing.get("maxPathTagLength")
    return TracingDefaults(
        sampling_percent=None if sampling is None else float(sampling),
        custom_tags=None if tags is None else tuple(custom_tags(msgspec.convert(tags, dict[str, CustomTag]))),
        path_length=length if isinstance(length, int) else None,
    )


_ANNOTATION = "proxy.istio.io/config"


def annotated_tracing(pod: Mapping[str, Any]) -> TracingDefaults | None:
    """What a pod's annotation says of its traces; None where it says nothing that can be read."""
    text = (pod["metadata"].get("annotations") or {}).get(_ANNOTATION)
    if not text:
        return None
    import yaml

    try:
        tracing = _mapping(_mapping(yaml.safe_load(text)).get("tracing"))
        return tracing_defaults(tracing) if tracing else None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None
