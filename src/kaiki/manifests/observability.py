"""The metrics store and the console, under the names their public counterparts have (`prometheus`, `kiali`).

Both are Kaiki's own processes. Labels and selectors equal those of Istio's sample add-ons, so that either can be
applied over the other and dashboards, port-forwards and guides keep working.
"""

from __future__ import annotations

from kaiki.manifests.base import CONSOLE_SECRET, ISTIO_GROUPS
from kaiki.manifests.console_access import (
    OIDC_PATH,
    OIDC_VOLUME,
    console_arguments,
    impersonation_rules,
    oidc_volume,
)
from kaiki.manifests.objects import (
    READ,
    Object,
    cluster_rights,
    deployment,
    own_container,
    own_namespace_rights,
    requests,
    rule,
    service,
    service_account,
)
from kaiki.manifests.settings import InstallSettings

METRICS_LABELS = {
    "app.kubernetes.io/component": "server",
    "app.kubernetes.io/name": "prometheus",
    "app.kubernetes.io/instance": "prometheus",
}
CONSOLE_LABELS = {"app.kubernetes.io/name": "kiali", "app.kubernetes.io/instance": "kiali"}
_TRACE_PORTS = [("grpc-otel", 4317, 4317), ("http-otel", 4318, 4318), ("http-zipkin", 9411, 9411)]
STORE_VOLUME = "storage-volume"
STORE_PATH = "/var/run/kaiki/metrics"


def metrics_manifests(settings: InstallSettings, with_volume: bool = True) -> list[Object]:
    """The store, its query API (9090) and the collector of long TCP connections' bytes (9093); and the traces.

    Those are received at `jaeger-collector` (4317, 4318 and 9411) and asked for at `tracing` (80), as of Istio's sample
    add-on.

    Without the volume the store is a folder of the container. A volume can't be named without its source: `kubectl
    apply` would take the source of a running one away (volumes are merged with retainKeys).
    """
    container = {
        **own_container(
            "prometheus-server",
            settings,
            _metrics_arguments(settings),
            {"http": 9090, "grpc-collector": 9093, "grpc-otel": 4317, "jaeger-query": 16686},
            {"path": "/-/ready", "port": 9090},
        ),
        **requests("50m", "128Mi"),
    }
    if with_volume:
        container["volumeMounts"] = [{"name": STORE_VOLUME, "mountPath": STORE_PATH}]
    rules = [
        rule("", ["pods", "services", "endpoints", "nodes", "namespaces"], READ),
        rule("discovery.k8s.io", ["endpointslices"], READ),
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    volumes = [_store_volume(settings)] if with_volume else []
    return [
        service_account("prometheus", settings, METRICS_LABELS),
        *cluster_rights("prometheus", settings, METRICS_LABELS, rules),
        *own_namespace_rights("prometheus", settings, METRICS_LABELS, [rule("", ["configmaps"], READ)]),
        service("prometheus", settings, METRICS_LABELS, METRICS_LABELS, [("http", 9090, 9090)]),
        service("kaiki-telemetry", settings, METRICS_LABELS, METRICS_LABELS, [("grpc-collector", 9093, 9093)]),
        service("tracing", settings, METRICS_LABELS, METRICS_LABELS, [("http-query", 80, 16686)]),
        service("jaeger-collector", settings, METRICS_LABELS, METRICS_LABELS, _TRACE_PORTS),
        deployment("prometheus", settings, container, METRICS_LABELS, METRICS_LABELS, volumes=volumes, recreate=True),
    ]


def _metrics_arguments(settings: InstallSettings) -> list[str]:
    """Beside another store the process goes on listing targets, and collecting bytes and traces."""
    arguments = ["metrics", f"--data={STORE_PATH}", "--listen=0.0.0.0:9090", "--collector=0.0.0.0:9093"]
    return [*arguments, "--no-scrape"] if settings.metrics_url else arguments


def _store_volume(settings: InstallSettings) -> Object:
    if not settings.metrics_folder:
        return {"name": STORE_VOLUME, "emptyDir": {}}
    return {"name": STORE_VOLUME, "hostPath": {"path": settings.metrics_folder, "type": "DirectoryOrCreate"}}


def console_manifests(settings: InstallSettings) -> list[Object]:
    """The console. It reads; the token that opens it is the one Secret it may see.

    By a token of its own, for that alone, the control plane tells it what proxies have been told.
    """
    labels = {**CONSOLE_LABELS, "app": "kiali"}
    own_store = f"http://prometheus.{settings.namespace}:9090"
    own_traces = f"http://tracing.{settings.namespace}/jaeger"
    container = {
        **own_container(
            "kiali",
            settings,
            [
                "console",
                "--listen=0.0.0.0:20001",
                f"--metrics-url={settings.metrics_url or own_store}",
                f"--tracing-url={settings.tracing_url or own_traces}",
                *console_arguments(settings.console),
            ],
            {"http": 20001},
            {"path": "/healthz", "port": 20001},
        ),
        **requests("20m", "96Mi"),
    }
    rules = [
        rule("", ["services", "pods", "pods/log", "namespaces", "endpoints", "nodes", "configmaps"], READ),
        rule("apps", ["deployments", "replicasets", "statefulsets", "daemonsets"], READ),
        rule("discovery.k8s.io", ["endpointslices"], READ),
        *(rule(group, ["*"], READ) for group in (*ISTIO_GROUPS, "gateway.networking.k8s.io")),
        rule(
            "apiextensions.k8s.io", ["customresourcedefinitions"], ["get"]
        ),  # The schemas that the editor completes by.
    ]
    oidc = settings.console.oidc
    rules += impersonation_rules(oidc) if oidc is not None else []
    volumes = [oidc_volume(oidc)] if oidc is not None and oidc.secret_name else []
    if volumes:
        container["volumeMounts"] = [{"name": OIDC_VOLUME, "mountPath": OIDC_PATH, "readOnly": True}]
    own_rules = [
        rule("", ["secrets"], ["get"], [CONSOLE_SECRET]),
        rule("", ["serviceaccounts/token"], ["create"], ["kiali"]),
    ]
    return [
        service_account("kiali", settings, labels),
        *cluster_rights("kiali", settings, labels, rules),
        *own_namespace_rights("kiali", settings, labels, own_rules),
        service("kiali", settings, labels, CONSOLE_LABELS, [("http", 20001, 20001)]),
        deployment("kiali", settings, container, labels, CONSOLE_LABELS, volumes=volumes),
    ]
