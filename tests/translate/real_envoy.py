"""What a real Envoy says of generated resources, by `envoy --mode validate`.

Resources come over ADS; a validating Envoy asks nobody. So every route table is put into a listener of its own, and
every load assignment into a static cluster of its own, beside the listeners and clusters themselves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http

from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, ProxyConfig
from kaiki.translate.connections import Role, routed_http
from kaiki.translate.encode import pack

ENVOY = Path(sys.executable).with_name("envoy")


def assemble(config: ProxyConfig) -> bootstrap_pb2.Bootstrap:
    """A bootstrap that holds everything of one proxy."""
    document = bootstrap_pb2.Bootstrap()
    document.node.id, document.node.cluster = "sidecar~127.0.0.1~validate.test~test.svc.cluster.local", "validate"
    ads = document.dynamic_resources.ads_config
    ads.api_type = config_source_pb2.ApiConfigSource.DELTA_GRPC
    ads.transport_api_version = config_source_pb2.V3
    ads.grpc_services.add().google_grpc.target_uri = "127.0.0.1:1"
    ads.grpc_services[0].google_grpc.stat_prefix = "ads"
    static = document.static_resources
    for item in config.of(CLUSTER_TYPE).values():
        static.clusters.append(cluster_pb2.Cluster.FromString(item.body))
    _add_telemetry_cluster(static)
    for item in config.of(ENDPOINT_TYPE).values():
        assignment = endpoint_pb2.ClusterLoadAssignment.FromString(item.body)
        cluster = static.clusters.add(name=f"check-{item.name}", load_assignment=assignment)
        cluster.connect_timeout.seconds = 1
    for item in config.of(LISTENER_TYPE).values():
        static.listeners.append(listener_pb2.Listener.FromString(item.body))
    for number, item in enumerate(config.of(ROUTE_TYPE).values()):
        static.listeners.append(_route_listener(number, route_pb2.RouteConfiguration.FromString(item.body)))
    for listener in static.listeners:
        # Validation binds nothing, but refuses two listeners at one address.
        listener.ClearField("bind_to_port")
    _unique_addresses(static.listeners)
    return document


def _unique_addresses(listeners: Iterable[listener_pb2.Listener]) -> None:
    for number, listener in enumerate(listeners):
        listener.address.socket_address.address = f"127.1.{number >> 8}.{number & 255}"
        listener.address.socket_address.port_value = 20000


def _add_telemetry_cluster(static: bootstrap_pb2.Bootstrap.StaticResources) -> None:
    static.clusters.add(name="kaiki-telemetry").connect_timeout.seconds = 1


def _route_listener(number: int, table: route_pb2.RouteConfiguration) -> listener_pb2.Listener:
    listener = listener_pb2.Listener(name=f"check-routes-{number}")
    packed = routed_http(Role.OUTBOUND, "check", "check")
    manager = http.HttpConnectionManager.FromString(packed.typed_config.value)
    # All clusters are there, so here Envoy can look whether routes name only those.
    table.validate_clusters.value = True
    manager.route_config.CopyFrom(table)
    packed.typed_config.CopyFrom(pack(manager))
    listener.filter_chains.add().filters.append(packed)
    return listener


def validate(config: ProxyConfig, folder: Path) -> str:
    """What Envoy objects to; empty if it takes everything."""
    path = folder / "envoy.pb"
    path.write_bytes(assemble(config).SerializeToString())
    done = subprocess.run(
        [str(ENVOY), "--mode", "validate", "-c", str(path), "--concurrency", "1", "-l", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Envoy 1.40 may crash while it shuts down after validating, so its words count and not its exit status.
    said = done.stdout + done.stderr
    return "" if f"configuration '{path}' OK" in said else said
