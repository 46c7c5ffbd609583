"""Who takes spans in: OTLP over gRPC, OTLP over HTTP (protobuf), and Zipkin's JSON."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import msgspec
from aiohttp import web
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from kaiki.telemetry.traces import otlp, zipkin
from kaiki.telemetry.traces.intake import Intake

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 16 << 20))
_PROTOBUF = "application/x-protobuf"


@contextlib.asynccontextmanager
async def receiving_grpc(intake: Intake, listen: tuple[str, int]) -> AsyncIterator[int]:
    """OTLP over gRPC while inside; gives the port. Raises RuntimeError when it is taken."""

    async def export(request: Any, _: Any) -> Any:
        intake.add(otlp.spans_of(request))
        return trace_service_pb2.ExportTraceServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=trace_service_pb2.ExportTraceServiceRequest.FromString,
        response_serializer=trace_service_pb2.ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": method}),))
    host, port = listen
    bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(0.2)


def add_http_receivers(application: web.Application, intake: Intake) -> None:
    """`POST /v1/traces` (OTLP) and `POST /api/v2/spans` (Zipkin)."""

    async def take_otlp(request: web.Request) -> web.Response:
        if request.content_type != _PROTOBUF:
            raise web.HTTPUnsupportedMediaType(text=f"send OTLP as {_PROTOBUF}, not as {request.content_type}\n")
        try:
            message = trace_service_pb2.ExportTraceServiceRequest.FromString(await request.read())
        except DecodeError as error:
            raise web.HTTPBadRequest(text=f"this is no ExportTraceServiceRequest: {error}\n") from error
        intake.add(otlp.spans_of(message))
        answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type=_PROTOBUF)

    async def take_zipkin(request: web.Request) -> web.Response:
        try:
            intake.add(list(zipkin.spans_of(await request.read())))
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=f"these are no spans in Zipkin's JSON, version 2: {error}\n") from error
        return web.Response(status=202)

    application.router.add_post("/v1/traces", take_otlp)
    application.router.add_post("/api/v2/spans", take_zipkin)
