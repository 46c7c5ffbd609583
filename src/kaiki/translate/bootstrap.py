"""What an Envoy starts with: enough to say who it is, to be scraped and probed, and to ask for the rest.

    15000  admin, loopback only
    15020  /stats/prometheus, the application's probes (/app-health/…) and its own metrics (/app-metrics)
    15021  /healthz/ready
    15090  /stats/prometheus

The bootstrap is rendered once, at injection, and is the argument of `--config-yaml`: plain JSON, no protobuf, so that
the injector stays light. `$(POD_NAME)`, `$(POD_NAMESPACE)` and `$(POD_IP)` are expanded by Kubernetes. The container's
environment must also have the names of `features.telemetry.ENVIRONMENT_NAMES` and `compact_labels.JOINED_ENVIRONMENT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaiki.model.proxy import EXCLUSION_MARK, Capture
from kaiki.model.workload import ProxyKind
from kaiki.translate.features.compact_labels import expansion_script

ADMIN_PORT = 15000
STATUS_PORT = 15020
READINESS_PORT = 15021
PROMETHEUS_PORT = 15090
INBOUND_SOURCE_ADDRESS = "127.0.0.6"
"""The source address of what a sidecar sends to its own application: redirection lets it pass."""

_TYPE = "type.googleapis.com/"
_HTTP_CONNECTION_MANAGER = _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LUA = _TYPE + "envoy.extensions.filters.http.lua.v3."
_ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": _TYPE + "envoy.extensions.filters.http.router.v3.Router"},
}
_NAMESPACE_MODULE = (
    "AGFzbQEAAAABCQJgAABgAX8BfwMDAgABBQMBAAEHLQMXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAAAZtYWxsb2MAAQZtZW1vcnkCAAoKAgIACwUA"
    "QYAICw=="
)
"""A WebAssembly module of 88 bytes that does nothing. Building any Wasm filter, even a disabled one, registers the
stats namespace `wasmcustom`, without which Envoy would write `envoy_istio_requests_total`."""

_RUNTIME = {
    "re2.max_program_size.error_level": 32768,
    "tracing.opentelemetry.flush_interval_ms": 1000,
    "tracing.zipkin.flush_interval_ms": 1000,
}

_BUCKETS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000)
_LAST_BUCKET = 3_600_000


@dataclass(frozen=True, slots=True)
class AppProbe:
    """An HTTP probe of the application, rewritten to 15020.

    `path` there (`/app-health/reviews/readyz`) is forwarded to `port` of the pod as `target` (path and query).
    """

    path: str
    port: int
    target: str
    https: bool = False
    timeout_seconds: float = 1.0
    host: str = ""


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """What a bootstrap depends on.

    `probes` are the application's HTTP probes; `metrics_port` (0: none) and `metrics_path` are where the application
    serves metrics of its own, which are then reached at 15020 `/app-metrics`. `service` is the canonical service,
    which Zipkin's spans are said to be of. `statistics` are kept beside what the mesh needs: pairs of `prefix`,
    `suffix` or `regex` and a text.
    """

    kind: ProxyKind
    capture: Capture
    discovery_host: str = "istiod.istio-system.svc"
    discovery_port: int = 15012
    telemetry_host: str = "kaiki-telemetry.istio-system.svc"
    telemetry_port: int = 9093
    token_path: str = "/var/run/secrets/tokens/istio-token"
    root_certificate_path: str = "/var/run/secrets/istio/root-cert.pem"
    probes: tuple[AppProbe, ...] = ()
    metrics_port: int = 0
    metrics_path: str = "/metrics"
    service: str = ""
    statistics: tuple[tuple[str, str], ...] = ()


def bootstrap(settings: BootstrapSettings) -> dict[str, Any]:
    """The Envoy bootstrap of one pod, as JSON."""
    document: dict[str, Any] = {
        "node": _node(settings),
        "admin": {"address": _address("127.0.0.1", ADMIN_PORT)},
        "dynamic_resources": _dynamic_resources(settings),
        "static_resources": {"listeners": _listeners(settings), "clusters": _clusters(settings)},
        "stats_config": _stats_config(settings.statistics),
        "stats_flush_interval": "2s",
        "stats_eviction_interval": "3600s",
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
    }
    if settings.capture is Capture.MARK:
        document["cluster_manager"] = {"upstream_bind_config": {"socket_options": socket_mark()}}
    return document


def socket_mark() -> list[dict[str, Any]]:
    """The socket option that keeps a proxy's own traffic from being redirected to itself (SOL_SOCKET, SO_MARK)."""
    return [
        {
            "description": "the proxy's own traffic",
            "level": 1,
            "name": 36,
            "int_value": EXCLUSION_MARK,
            "state": "STATE_PREBIND",
        }
    ]


def _node(settings: BootstrapSettings) -> dict[str, Any]:
    role = "router" if settings.kind is ProxyKind.GATEWAY else "sidecar"
    pod = "$(POD_NAME).$(POD_NAMESPACE)"
    return {
        "id": f"{role}~$(POD_IP)~{pod}~$(POD_NAMESPACE).svc.cluster.local",
        "cluster": f"{settings.service}.$(POD_NAMESPACE)" if settings.service else pod,
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _dynamic_resources(settings: BootstrapSettings) -> dict[str, Any]:
    # A timeout of zero waits for ever: a proxy that cannot reach its control plane must not call itself ready.
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {
        "cds_config": source,
        "lds_config": source,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"google_grpc": _discovery_service(settings)}],
        },
    }


def _discovery_service(settings: BootstrapSettings) -> dict[str, Any]:
    token = {
        "@type": _TYPE + "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
        "secret_data": {"filename": settings.token_path},
        "header_key": "authorization",
        "header_prefix": "Bearer ",
    }
    plugin = "envoy.grpc_credentials.file_based_metadata"
    return {
        "target_uri": f"{settings.discovery_host}:{settings.discovery_port}",
        "stat_prefix": "xds",
        "channel_credentials": {"ssl_credentials": {"root_certs": {"filename": settings.root_certificate_path}}},
        "call_credentials": [{"from_plugin": {"name": plugin, "typed_config": token}}],
        "credentials_factory_name": plugin,
        "channel_args": {
            "args": {
                "grpc.initial_reconnect_backoff_ms": {"int_value": 200},
                "grpc.min_reconnect_backoff_ms": {"int_value": 1000},
                "grpc.max_reconnect_backoff_ms": {"int_value": 2000},
            }
        },
    }


def _stats_config(more: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    prefixes = ("wasmcustom.", "cluster_manager", "listener_manager", "server", "control_plane")
    suffixes = ("ssl.fail_verify_san", "ssl.handshake", "ssl.fail_verify_error")
    patterns: list[dict[str, Any]] = [{"prefix": prefix} for prefix in prefixes] + [
        {"suffix": suffix} for suffix in suffixes
    ]
    patterns += [{"safe_regex": {"regex": text}} if kind == "regex" else {kind: text} for kind, text in more]
    return {
        "use_all_default_tags": False,
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
        "histogram_bucket_settings": [{"match": {"prefix": "wasmcustom."}, "buckets": [*_BUCKETS, _LAST_BUCKET]}],
    }


def _listeners(settings: BootstrapSettings) -> list[dict[str, Any]]:
    scrape = _route("/stats/prometheus", "admin")
    scrape["typed_per_filter_config"] = {
        "labels": {"@type": _LUA + "LuaPerRoute", "source_code": {"inline_string": expansion_script()}}
    }
    namespace = {
        "name": "namespace",
        "disabled": True,
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "namespace",
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"inline_bytes": _NAMESPACE_MODULE}},
                },
            },
        },
    }
    # It acts on the one route that has a script.
    labels = {"name": "labels", "typed_config": {"@type": _LUA + "Lua"}}
    return [
        _listener("status", STATUS_PORT, [scrape, *_application_routes(settings)], [labels]),
        _listener("readiness", READINESS_PORT, [_route("/healthz/ready", "admin", target="/ready")]),
        _listener("prometheus", PROMETHEUS_PORT, [scrape], [namespace, labels]),
    ]


def _listener(
    name: str, port: int, routes: list[dict[str, Any]], filters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    manager = {
        "@type": _HTTP_CONNECTION_MANAGER,
        "stat_prefix": name,
        "http_filters": [*(filters or []), _ROUTER],
        "route_config": {"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "name": name,
        "address": _address("0.0.0.0", port),
        "filter_chains": [chain],
        "ignore_global_conn_limit": True,
    }


def _route(path: str, cluster: str, target: str = "", timeout_seconds: float = 15, host: str = "") -> dict[str, Any]:
    action: dict[str, Any] = {"cluster": cluster, "timeout": f"{timeout_seconds}s"}
    if target:
        # The substitution is the whole target: a query is part of what the probe asked for.
        action["regex_rewrite"] = {"pattern": {"regex": "^.*$"}, "substitution": target.replace("\\", "\\\\")}
    if host:
        action["host_rewrite_literal"] = host
    return {"match": {"path": path}, "route": action}


def _application_routes(settings: BootstrapSettings) -> list[dict[str, Any]]:
    routes = []
    for probe in settings.probes:
        cluster = _application_cluster_name(probe.port, probe.https)
        routes.append(_route(probe.path, cluster, probe.target, probe.timeout_seconds, probe.host))
    if settings.metrics_port:
        cluster = _application_cluster_name(settings.metrics_port, https=False)
        routes.append(_route("/app-metrics", cluster, settings.metrics_path))
    return routes


def _application_cluster_name(port: int, https: bool) -> str:
    return f"application-{'https' if https else 'http'}-{port}"


def _clusters(settings: BootstrapSettings) -> list[dict[str, Any]]:
    wanted = {(probe.port, probe.https) for probe in settings.probes}
    if settings.metrics_port:
        wanted.add((settings.metrics_port, False))
    return [
        _static_cluster("admin", "127.0.0.1", ADMIN_PORT),
        _telemetry_cluster(settings),
        *(_application_cluster(port, https, settings.capture) for port, https in sorted(wanted)),
    ]


def _static_cluster(name: str, host: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(host, port)}}]}],
        },
    }


def _telemetry_cluster(settings: BootstrapSettings) -> dict[str, Any]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    resolution = {
        "@type": _TYPE + "envoy.extensions.clusters.dns.v3.DnsCluster",
        "dns_lookup_family": "V4_ONLY",
        "dns_refresh_rate": "30s",
        "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "10s"},
    }
    cluster = _static_cluster("kaiki-telemetry", settings.telemetry_host, settings.telemetry_port)
    del cluster["type"]
    return {
        **cluster,
        "cluster_type": {"name": "envoy.cluster.dns", "typed_config": resolution},
        # A proxy must get ready without the metrics process, which may come later or be gone.
        "wait_for_warm_on_init": False,
        "typed_extension_protocol_options": {
            options: {"@type": _TYPE + options, "explicit_http_config": {"http2_protocol_options": {}}}
        },
    }


def _application_cluster(port: int, https: bool, capture: Capture) -> dict[str, Any]:
    cluster = _static_cluster(_application_cluster_name(port, https), "$(POD_IP)", port)
    bind: dict[str, Any] = {"source_address": {"address": INBOUND_SOURCE_ADDRESS, "port_value": 0}}
    if capture is Capture.MARK:
        bind["socket_options"] = socket_mark()
    if capture is not Capture.NONE:
        cluster["upstream_bind_config"] = bind
    if https:
        # As the kubelet: a probe's certificate is not verified.
        context = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": _TYPE + context},
        }
    return cluster
