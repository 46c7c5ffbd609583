"""What task pages call outside the mesh (httpbin.org, edition.cnn.com, and others), on this machine's loopback.

By http every site but httpbin.org sends its visitors to https; by https it answers with a page. The certificates are of
a root made for the test.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import random
import ssl
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mesh import SAMPLES

NAMES = (
    "httpbin.org",
    "www.google.com",
    "edition.cnn.com",
    "www.wikipedia.org",
    "en.wikipedia.org",
    "de.wikipedia.org",
)
PAGE = "<!doctype html><html><head><title>{host}</title></head></html>\n"


def _httpbin() -> Any:
    specification = importlib.util.spec_from_file_location("sample_httpbin", SAMPLES / "httpbin" / "httpbin.py")
    assert specification is not None and specification.loader is not None
    import sys

    module = importlib.util.module_from_spec(specification)
    sys.modules["sample_httpbin"] = module  # its dataclasses look themselves up
    specification.loader.exec_module(module)
    return module


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, *_: Any) -> None:
        """Clients may go."""


def _handler() -> type:
    httpbin = _httpbin()

    class Handler(httpbin.Handler):  # type: ignore[misc]
        style = httpbin.Style(python=True, log=False)

        def _outside(self) -> None:
            host = self.headers.get("host", "").partition(":")[0]
            if host == "httpbin.org":
                self._handle()
            elif not isinstance(self.connection, ssl.SSLSocket):
                self._send(httpbin.Answer(b"", 301, "", [("location", f"https://{host}{self.path}")]))
            else:
                self._send(httpbin.Answer(PAGE.format(host=host).encode(), kind="text/html; charset=utf-8"))

        do_GET = do_HEAD = do_POST = _outside  # noqa: N815 (the base class's names)

    return Handler


class Outside:
    """Servers on ports 80 and 443 of a loopback address; raises OSError where those ports are not to be had."""

    def __init__(self, folder: Path) -> None:
        self.roots = folder / "roots.pem"
        pair = _make_certificates(folder, self.roots)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        self.address, self._servers = _listen(_handler())
        self._servers[1].context = context
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    @property
    def hosts(self) -> str:
        """The line for the hosts file."""
        return f"{self.address} {' '.join(NAMES)}\n"

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _listen(handler: type) -> tuple[str, list[_Server]]:
    """Both ports of the first address in turn that has them free."""
    numbers = random.sample(range(2, 254), 20)
    for number in numbers:
        address, servers = f"127.0.0.{number}", []
        try:
            for port in (80, 443):
                servers.append(_Server((address, port), handler))
        except PermissionError:
            raise
        except OSError:
            for server in servers:
                server.server_close()
            continue
        return address, servers
    raise OSError("no loopback address has ports 80 and 443 free")


def _make_certificates(folder: Path, roots: Path) -> tuple[Path, Path]:
    """A root in `roots`, and the files of a certificate for all names with its key."""
    now = datetime.datetime.now(datetime.UTC)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "outside root")])
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]

    def builder(name: x509.Name, key: Any) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
        return (
            made.serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )

    root = builder(issuer, keys[0]).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = builder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAMES[0])]), keys[1]).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False
    )
    pem = serialization.Encoding.PEM
    roots.write_bytes(root.sign(keys[0], hashes.SHA256()).public_bytes(pem))
    pair = folder / "server.crt", folder / "server.key"
    pair[0].write_bytes(leaf.sign(keys[0], hashes.SHA256()).public_bytes(pem))
    private = keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pair[1].write_bytes(private)
    return pair
