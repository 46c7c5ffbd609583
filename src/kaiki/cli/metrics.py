"""`kaiki metrics`: the metrics store of the mesh, with Prometheus's HTTP API; and its traces, with Jaeger's."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from kaiki.cli.addresses import Address


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Where samples are kept.")
@click.option("--listen", type=Address(), default="0.0.0.0:9090", show_default=True, help="The query API.")
@click.option(
    "--collector", type=Address(), default="0.0.0.0:9093", show_default=True, help="TCP access logs of proxies (gRPC)."
)
@click.option(
    "--traces/--no-traces",
    default=True,
    show_default=True,
    help="Receive traces (OTLP on 4317 and 4318, Zipkin on 9411) and answer as Jaeger does (16686).",
)
def command(data: Path, listen: tuple[str, int], collector: tuple[str, int], traces: bool) -> None:
    """Scrape the mesh and answer PromQL; keep its traces and answer Jaeger's queries."""
    from kaiki.kube.config import load_config
    from kaiki.telemetry.server import MetricsSettings, serve
    from kaiki.telemetry.traces.server import TraceSettings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = MetricsSettings(
        data_path=data,
        listen=listen,
        collector_listen=collector,
        kube=load_config(),
        traces=TraceSettings(data, listen[0]) if traces else None,
    )
    asyncio.run(serve(settings))
