"""Addresses on the command line: `HOST:PORT`."""

from __future__ import annotations

from typing import Any

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
