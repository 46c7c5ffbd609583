"""HTTP under the client: one connection pool, bearer tokens, and failures turned into KubeErrors."""

import io
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from kaiki.kube.config import KubeConfig
from kaiki.kube.credential import Credential
from kaiki.kube.errors import KubeError, Unavailable, error_from_status
from kaiki.kube.resource import Object

CONNECT_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 60.0
KEEPALIVE_SECONDS = 50.0
LARGE_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `call` names it in messages, as `create Pod default/web`; no timeout means as long as it takes."""

    method: str
    path: str
    call: str
    params: Mapping[str, str] | None = None
    body: Any = None
    content_type: str = "application/json"
    timeout_seconds: float | None = REQUEST_TIMEOUT_SECONDS


class Transport:
    """Sends requests to one server. Connections are opened at the first request."""

    def __init__(self, config: KubeConfig, user_agent: str) -> None:
        self._config = config
        self._credential = Credential(config)
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Closes all connections; requests from now on are Unavailable."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def answer(self, request: Request) -> Object:
        """The whole JSON answer."""
        async with self._sent(request) as answer:
            try:
                data = await answer.read()
                return dict(orjson.loads(data)) if data else {}
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise Unavailable(f"{request.call}: the answer broke off: {_cause(error)}") from error

    async def stream(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The answer in pieces, as they come. Ends when the server ends it; Unavailable when it breaks."""
        async with self._sent(request) as answer:
            try:
                async for piece in answer.content.iter_any():
                    yield piece
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unavailable(f"{request.call}: the stream broke: {_cause(error)}") from error
            finally:
                answer.close()

    @asynccontextmanager
    async def _sent(self, request: Request) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        answer = await self._send(request)
        if answer.status == 401 and self._credential.renewable:
            answer.release()
            self._credential.forget()
            answer = await self._send(request)
        async with answer:
            if answer.status >= 400:
                raise await _failure(request.call, answer)
            yield answer

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        if self._closed:
            raise Unavailable(f"{request.call}: the client is closed")
        headers: list[tuple[str, str]] = []
        if (acting := self._config.impersonated) is not None:
            headers.append(("Impersonate-User", acting.user))
            headers += [("Impersonate-Group", group) for group in acting.groups]
        if token := await self._credential.token():
            headers.append(("Authorization", f"Bearer {token}"))
        if request.body is not None:
            headers.append(("Content-Type", request.content_type))
        try:
            return await self._opened().request(
                request.method,
                self._config.server + request.path,
                params=request.params,
                data=_encode(request.body),
                headers=headers,
                server_hostname=self._config.tls_server_name,
                timeout=aiohttp.ClientTimeout(total=request.timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{request.call}: {self._config.server} cannot be reached: {_cause(error)}") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                ssl=self._config.ssl_context() or True,
                keepalive_timeout=KEEPALIVE_SECONDS,
                socket_factory=_open_socket,
            )
            headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
            self._session = aiohttp.ClientSession(connector=connector, headers=headers)
        return self._session


async def split_lines(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Splits a stream at line ends; not by aiohttp's readline, whose lines are limited to 128 KiB."""
    rest = bytearray()
    async with aclosing(pieces):
        async for piece in pieces:
            rest += piece
            if b"\n" not in piece:
                continue
            *lines, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            for line in lines:
                if line:
                    yield line


def _open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Probes idle connections: a watch whose peer vanished (a laptop that slept) must not wait for ever."""
    family, kind, protocol, *_ = address
    opened = socket.socket(family=family, type=kind, proto=protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


def _encode(body: Any) -> bytes | io.BytesIO | None:
    if body is None:
        return None
    data = orjson.dumps(body)
    return io.BytesIO(data) if len(data) > LARGE_BODY_BYTES else data


async def _failure(call: str, answer: aiohttp.ClientResponse) -> KubeError:
    try:
        text = await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        text = b""
    try:
        status = orjson.loads(text)
    except ValueError:
        status = {"message": text.decode(errors="replace")[:500]}
    return error_from_status(call, answer.status, status if isinstance(status, dict) else {})


def _cause(error: Exception) -> str:
    """In words; some have none, a timeout for one."""
    return str(error) or type(error).__name__
