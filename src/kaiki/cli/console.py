"""`kaiki console`: the web console."""

from __future__ import annotations

import asyncio
import logging

import click

from kaiki.cli.addresses import Address


@click.command()
@click.option("--listen", type=Address(), default="0.0.0.0:20001", show_default=True, help="Where to serve.")
@click.option(
    "--metrics-url",
    default="http://prometheus.istio-system:9090",
    show_default=True,
    help="A Prometheus-compatible API.",
)
@click.option(
    "--tracing-url",
    default="http://tracing.istio-system/jaeger",
    show_default=True,
    help="Jaeger's query API: what /api/traces follows.",
)
@click.option("--read-only", is_flag=True, help="Refuse every change, whoever asks for it.")
def command(listen: tuple[str, int], metrics_url: str, tracing_url: str, read_only: bool) -> None:
    """Serve the console."""
    from kaiki.console.server import serve
    from kaiki.console.settings import ConsoleSettings
    from kaiki.kube.config import load_config

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = ConsoleSettings(
        listen=listen, metrics_url=metrics_url, tracing_url=tracing_url, kube=load_config(), read_only=read_only
    )
    asyncio.run(serve(settings))
