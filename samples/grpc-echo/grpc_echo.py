"""A gRPC server without a protocol file: whatever is sent comes back, as bytes. And a client for it.

grpc_echo.py [port]                            serve (7000)
grpc_echo.py call HOST:PORT METHOD [COUNT]     Echo: one message each way   Chat: COUNT messages, each answered twice
                                               Fail: status 14 (UNAVAILABLE)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

SERVICE = "kaiki.samples.Echo"


def echo(request: bytes, _: Any) -> bytes:
    return request


def chat(requests: Iterator[bytes], _: Any) -> Iterator[bytes]:
    for request in requests:
        yield request
        yield request


def fail(_: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode.UNAVAILABLE, "as asked")
    return b""


def serve(port: int) -> None:
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    server.wait_for_termination()


def call(address: str, method: str, count: int) -> str:
    """The status's name, and how many messages came back."""
    with grpc.insecure_channel(address) as channel:
        try:
            if method == "Chat":
                stream = channel.stream_stream(f"/{SERVICE}/Chat")
                return f"OK {len(list(stream(iter([b'message'] * count), timeout=20)))}"
            ask = channel.unary_unary(f"/{SERVICE}/{method}")
            return f"OK {len([ask(b'message', timeout=20) for _ in range(count)])}"
        except grpc.RpcError as error:
            return f"{error.code().name} 0"


if __name__ == "__main__":
    if sys.argv[1:2] == ["call"]:
        print(call(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 1))
    else:
        serve(int(sys.argv[1]) if len(sys.argv) > 1 else 7000)
