"""Bytes of TCP connections: exact, also across a restart."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from kaiki.telemetry.collector.accounts import RECEIVED, SENT, ConnectionEntry, TcpAccounts
from kaiki.telemetry.collector.service import collecting, entries_of
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.store.series import SeriesStore

LABELS = (("reporter", "source"), ("request_protocol", "tcp"))
METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def _entry(connection: str, received: int, sent: int, ended: bool = False, **labels: str) -> ConnectionEntry:
    return ConnectionEntry(connection, tuple(sorted({**dict(LABELS), **labels}.items())), received, sent, ended)


def _values(store: SeriesStore, name: str) -> list[float]:
    return store.select([Matcher(NAME, "=", name)], 0, 2**60).values.tolist()


def test_differences_are_counted(tmp_path: Path) -> None:
    store, clock = SeriesStore(tmp_path), Clock()
    accounts = TcpAccounts(store, clock=clock)
    accounts.add([_entry("1", 10, 100), _entry("2", 1, 1), _entry("1", 30, 150)])
    accounts.flush()
    clock.now += 2
    accounts.add([_entry("1", 35, 150, ended=True), _entry("", 99, 99)])
    accounts.flush()
    assert _values(store, RECEIVED) == [0, 31, 36]
    assert _values(store, SENT) == [0, 151, 151]
    text = accounts.render()
    assert f'{RECEIVED}{{reporter="source",request_protocol="tcp"}} 36' in text
    assert "kaiki_collector_connections 1" in text
    assert "kaiki_collector_ignored_entries_total 1" in text
    assert RECEIVED not in accounts.render(totals=False)
    store.close()


def test_flags_that_change_count_apart(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    accounts = TcpAccounts(store, clock=Clock())
    accounts.add([_entry("1", 10, 0, response_flags="-"), _entry("1", 15, 0, ended=True, response_flags="UF")])
    text = accounts.render()
    assert 'response_flags="-"' in text and 'response_flags="UF",' not in text.split(SENT)[0].split("} 5")[0]
    assert "} 10\n" in text and "} 5\n" in text
    store.close()


def test_a_restart_neither_loses_nor_counts_twice(tmp_path: Path) -> None:
    store, clock = SeriesStore(tmp_path), Clock()
    accounts = TcpAccounts(store, clock=clock)
    accounts.add([_entry("1", 10, 100)])
    accounts.flush()
    store.commit()
    accounts.add([_entry("1", 20, 200)])  # never committed: the next entry carries it again
    store._database.close()

    store = SeriesStore(tmp_path)
    accounts = TcpAccounts(store, clock=clock)
    clock.now += 2
    accounts.add([_entry("1", 25, 300)])
    accounts.flush()
    assert _values(store, RECEIVED) == [0, 10, 25]
    assert _values(store, SENT) == [0, 100, 300]
    store.close()


def test_what_is_silent_for_long_is_forgotten(tmp_path: Path) -> None:
    store, clock = SeriesStore(tmp_path), Clock()
    accounts = TcpAccounts(store, clock=clock)
    accounts.add([_entry("1", 10, 100)])
    clock.now += 5000
    accounts.flush()
    assert "kaiki_collector_connections 0" in accounts.render()
    assert SENT + "{" not in accounts.render()
    store.commit()
    assert store.notes("tcp/") == {}
    store.close()


async def test_envoys_stream(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    accounts = TcpAccounts(store)
    async with (
        collecting(accounts, ("127.0.0.1", 0)) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.stream_unary(
            METHOD,
            request_serializer=als_pb2.StreamAccessLogsMessage.SerializeToString,
            response_deserializer=als_pb2.StreamAccessLogsResponse.FromString,
        )

        async def messages() -> AsyncIterator[als_pb2.StreamAccessLogsMessage]:
            for received, kind in ((100, "TcpPeriodic"), (250, "TcpPeriodic"), (300, "TcpConnectionEnd")):
                message = als_pb2.StreamAccessLogsMessage()
                entry = message.tcp_logs.log_entry.add()
                entry.common_properties.stream_id = "abc"
                entry.common_properties.access_log_type = accesslog_pb2.AccessLogType.Value(kind)
                entry.common_properties.custom_tags.update(dict(LABELS) | {"empty": ""})
                entry.connection_properties.received_bytes = received
                entry.connection_properties.sent_bytes = 2 * received
                yield message

        await asyncio.wait_for(call(messages()), 10)
    assert f'{SENT}{{reporter="source",request_protocol="tcp"}} 600' in accounts.render()
    store.close()


def test_messages_of_grpc_calls_are_counted(tmp_path: Path) -> None:
    message = als_pb2.StreamAccessLogsMessage()
    for number, text in enumerate(("3,6", "1,0", "-")):
        common = message.http_logs.log_entry.add().common_properties
        common.stream_id = f"call-{number}"
        common.custom_tags.update({"reporter": "source", "request_protocol": "grpc", "messages": text})
    store, clock = SeriesStore(tmp_path), Clock()
    accounts = TcpAccounts(store, clock=clock)
    accounts.add(entries_of(message))
    accounts.flush()
    assert _values(store, "istio_request_messages_total") == [0, 4]
    assert _values(store, "istio_response_messages_total") == [0, 6]
    assert _values(store, RECEIVED) == []
    assert 'istio_request_messages_total{reporter="source",request_protocol="grpc"} 4' in accounts.render()
    store.close()
