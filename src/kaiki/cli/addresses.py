"""Addresses on the command line: `HOST:PORT`, and where people find the console."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click


class Address(click.ParamType[tuple[str, int]]):
    """`0.0.0.0:9090` → ("0.0.0.0", 9090)."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT, for example 0.0.0.0:9090", param, ctx)
        return host, int(port)


def check_external_url(_: click.Context, __: click.Parameter, value: str) -> str:
    """An address with a name and nothing after it; empty for none."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/")):
        raise click.BadParameter(f"{value!r} is no address as https://mesh.example.org; paths are not kept")
    return value.rstrip("/")
