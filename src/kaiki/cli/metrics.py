"""`kaiki metrics`: the metrics store of the mesh, with Prometheus's HTTP API."""

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
def command(data: Path, listen: tuple[str, int], collector: tuple[str, int]) -> None:
    """Scrape the mesh and answer PromQL."""
    from kaiki.kube.config import load_config
    from kaiki.telemetry.server import MetricsSettings, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(MetricsSettings(data_path=data, listen=listen, collector_listen=collector, kube=load_config())))
