"""The gRPC side: `envoy.service.accesslog.v3.AccessLogService`.

What an entry carries is written down where it is configured: `kaiki.translate.features.tcp_access_log` for connections,
`kaiki.translate.features.grpc_messages` for gRPC calls with other than one message each way.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from kaiki.telemetry.collector.accounts import ConnectionEntry, TcpAccounts, label_set

log = logging.getLogger(__name__)
_MESSAGES_TAG = "messages"
_SERVICE = "envoy.service.accesslog.v3.AccessLogService"
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 16 << 20))


@contextlib.asynccontextmanager
async def collecting(accounts: TcpAccounts, listen: tuple[str, int]) -> AsyncIterator[int]:
    """Serves while inside; gives the port. Raises RuntimeError when it is taken."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((_handler(accounts),))
    host, port = listen
    bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(0.2)


def _handler(accounts: TcpAccounts) -> Any:
    async def receive(messages: AsyncIterator[Any], _: Any) -> Any:
        async for message in messages:
            accounts.add(entries_of(message))
        return als_pb2.StreamAccessLogsResponse()

    method = grpc.stream_unary_rpc_method_handler(
        receive,
        request_deserializer=als_pb2.StreamAccessLogsMessage.FromString,
        response_serializer=als_pb2.StreamAccessLogsResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(_SERVICE, {"StreamAccessLogs": method})


def entries_of(message: Any) -> Iterator[ConnectionEntry]:
    """The entries of a `StreamAccessLogsMessage` that count something."""
    for entry in message.tcp_logs.log_entry:
        common, connection = entry.common_properties, entry.connection_properties
        yield ConnectionEntry(
            connection=common.stream_id,
            labels=label_set(common.custom_tags),
            received=connection.received_bytes,
            sent=connection.sent_bytes,
            ended=common.access_log_type == accesslog_pb2.AccessLogType.TcpConnectionEnd,
        )
    for entry in message.http_logs.log_entry:
        tags = dict(entry.common_properties.custom_tags)
        requests, _, responses = tags.pop(_MESSAGES_TAG, "").partition(",")
        if requests.isdigit() and responses.isdigit():
            key = entry.common_properties.stream_id
            yield ConnectionEntry(key, label_set(tags), int(requests), int(responses), ended=True)
