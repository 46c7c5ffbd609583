"""How long TCP connections live, and whether they go through an HTTP tunnel: the TCP proxy's part of a policy."""

from __future__ import annotations

from typing import NamedTuple

from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from kaiki.model.policy.destination import ConnectionPool, ConsistentHash, HashKind, Tunnel
from kaiki.translate.encode import duration


class TcpSettings(NamedTuple):
    """`idle_timeout_seconds`: 0 never, None Envoy's hour. `duration_seconds`: a connection's longest life.

    With `by_source` the client's address decides which endpoint it gets.
    """

    idle_timeout_seconds: float | None = None
    duration_seconds: float | None = None
    tunnel: Tunnel | None = None
    by_source: bool = False


NO_TCP_SETTINGS = TcpSettings()


def tcp_settings(
    pool: ConnectionPool | None, tunnel: Tunnel | None, hashed: ConsistentHash | None = None
) -> TcpSettings:
    """What a policy says of connections of plain bytes."""
    by_source = hashed is not None and hashed.kind is HashKind.SOURCE_ADDRESS
    if pool is None:
        return TcpSettings(tunnel=tunnel, by_source=by_source) if tunnel or by_source else NO_TCP_SETTINGS
    return TcpSettings(pool.tcp_idle_timeout_seconds, pool.max_connection_duration_seconds, tunnel, by_source)


def set_tcp_settings(proxy: tcp_proxy_pb2.TcpProxy, settings: TcpSettings) -> None:
    """Put the settings into a TCP proxy."""
    if settings.idle_timeout_seconds is not None:
        proxy.idle_timeout.CopyFrom(duration(settings.idle_timeout_seconds))
    if settings.duration_seconds:
        proxy.max_downstream_connection_duration.CopyFrom(duration(settings.duration_seconds))
    if settings.by_source:
        proxy.hash_policy.add().source_ip.SetInParent()
    if settings.tunnel is not None:
        host = settings.tunnel.host
        proxy.tunneling_config.hostname = f"{f'[{host}]' if ':' in host else host}:{settings.tunnel.port}"
        proxy.tunneling_config.use_post = settings.tunnel.use_post
