"""The server on real sockets, with a resolver of our own behind it."""

import asyncio
import socket
from pathlib import Path

from dnslib import RCODE, RR, DNSRecord

from kaiki.names.server import DnsServer
from kaiki.names.upstream import Upstream, read_resolvers

SERVICE = {"metadata": {"name": "a", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.9", "ports": []}}


async def new_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


class Resolver(asyncio.DatagramProtocol):
    """Answers everything with one address."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        reply = DNSRecord.parse(data).reply()
        reply.add_answer(*RR.fromZone("example.org. 60 A 192.0.2.1"))
        self.transport.sendto(reply.pack(), address)  # type: ignore[attr-defined]


async def ask_udp(port: int, question: DNSRecord) -> DNSRecord:
    loop = asyncio.get_running_loop()
    with await new_socket() as client:
        client.setblocking(False)
        await loop.sock_sendto(client, question.pack(), ("127.0.0.1", port))
        async with asyncio.timeout(10):
            return DNSRecord.parse(await loop.sock_recv(client, 4096))


async def test_udp_tcp_and_forwarding(tmp_path: Path) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Resolver, ("127.0.0.1", 0))
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    upstream = Upstream(new_socket, conf)
    upstream.use_port(transport.get_extra_info("sockname")[1])
    server = DnsServer(upstream)
    port = await server.listen("127.0.0.1", 0)
    server.update([SERVICE], [])
    try:
        ours = DNSRecord.question("a.default.svc.cluster.local")
        assert str((await ask_udp(port, ours)).rr[0].rdata) == "10.96.0.9"
        theirs = DNSRecord.question("example.org")
        reply = await ask_udp(port, theirs)
        assert str(reply.rr[0].rdata) == "192.0.2.1" and reply.header.id == theirs.header.id
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for question in (ours, theirs):
            writer.write(len(question.pack()).to_bytes(2, "big") + question.pack())
            length = int.from_bytes(await reader.readexactly(2), "big")
            assert DNSRecord.parse(await reader.readexactly(length)).rr
        writer.close()
        await writer.wait_closed()
    finally:
        await server.stop()
        transport.close()


async def test_without_a_resolver_the_failure_is_immediate(tmp_path: Path) -> None:
    server = DnsServer(Upstream(new_socket, tmp_path / "none"))
    port = await server.listen("127.0.0.1", 0)
    try:
        assert (await ask_udp(port, DNSRecord.question("example.org"))).header.rcode == RCODE.SERVFAIL
    finally:
        await server.stop()


def test_resolvers() -> None:
    assert read_resolvers("# x\nnameserver 1.1.1.1\nnameserver ::1\nsearch a\nnameserver 9.9.9.9") == (
        "1.1.1.1",
        "9.9.9.9",
    )
