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
@click.option("--interval", type=float, default=3.0, show_default=True, help="Seconds between two scrapes.")
@click.option("--retention", default="24h", show_default=True, help="How long samples are kept, as in 15d or 24h.")
@click.option("--retention-bytes", type=int, default=512 << 20, show_default=True, help="Most bytes of samples kept.")
@click.option("--max-series", type=int, default=50_000, show_default=True, help="Most series kept.")
@click.option("--sample-limit", type=int, default=50_000, show_default=True, help="Most samples of one scrape.")
@click.option("--body-size-limit", type=int, default=64 << 20, show_default=True, help="Most bytes of one scrape.")
@click.option("--label-limit", type=int, default=0, help="Most labels of a sample; 0 is no limit.")
@click.option("--label-value-length-limit", type=int, default=0, help="Longest label value; 0 is no limit.")
@click.option("--honor-labels", is_flag=True, help="Let a sample's own labels win over its target's.")
@click.option("--honor-timestamps/--no-honor-timestamps", default=True, help="Take the times that samples carry.")
@click.option("--target", "targets", multiple=True, metavar="HOST:PORT[/PATH]", help="Scrape this too.")
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True), help="A prometheus.yml: alerting and remote_write."
)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file of recording and alerting rules.",
)
@click.option("--alertmanager", "alertmanagers", multiple=True, metavar="URL", help="Tell this Alertmanager of alerts.")
@click.option("--remote-write", "remote_writes", multiple=True, metavar="URL", help="Send all samples there too.")
@click.option(
    "--scrape/--no-scrape",
    default=True,
    show_default=True,
    help="Scrape targets, or only list them for others.",
)
@click.option("--cluster/--no-cluster", default=True, show_default=True, help="Find targets and rules in the mesh.")
def command(
    data: Path,
    listen: tuple[str, int],
    collector: tuple[str, int],
    traces: bool,
    interval: float,
    retention: str,
    retention_bytes: int,
    max_series: int,
    sample_limit: int,
    body_size_limit: int,
    label_limit: int,
    label_value_length_limit: int,
    honor_labels: bool,
    honor_timestamps: bool,
    targets: tuple[str, ...],
    config: Path | None,
    rules: tuple[Path, ...],
    alertmanagers: tuple[str, ...],
    remote_writes: tuple[str, ...],
    scrape: bool,
    cluster: bool,
) -> None:
    """Scrape the mesh and answer PromQL; keep its traces and answer Jaeger's queries."""
    from kaiki.kube.config import load_config
    from kaiki.telemetry.scrape.ingest import SampleRules
    from kaiki.telemetry.server import MetricsSettings, serve
    from kaiki.telemetry.traces.server import TraceSettings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = MetricsSettings(
        data_path=data,
        listen=listen,
        collector_listen=collector,
        kube=load_config() if cluster else None,
        traces=TraceSettings(data, listen[0]) if traces else None,
        scrape_interval_seconds=interval,
        retention_seconds=_seconds(retention),
        retention_bytes=retention_bytes,
        max_series=max_series,
        static_targets=targets,
        files=_read_files(config, rules),
        alertmanagers=alertmanagers,
        remote_writes=remote_writes,
        scrape=scrape,
        sample_limit=sample_limit,
        body_limit_bytes=body_size_limit,
        rules=SampleRules(
            label_limit=label_limit,
            label_value_length_limit=label_value_length_limit,
            honor_labels=honor_labels,
            honor_timestamps=honor_timestamps,
        ),
    )
    asyncio.run(serve(settings))


def _seconds(text: str) -> float:
    from kaiki.telemetry.api.parameters import parse_duration
    from kaiki.telemetry.errors import QueryError

    try:
        return parse_duration(text, "retention") / 1000
    except QueryError as problem:
        raise click.UsageError(f"--retention: {problem}") from None


def _read_files(config: Path | None, rules: tuple[Path, ...]) -> dict[str, str]:
    """Texts by the names under which the store knows them; wrong ones are refused before anything starts."""
    from kaiki.telemetry.configuration import MAIN_FILE, read_configuration
    from kaiki.telemetry.errors import RuleError

    files = {str(path): path.read_text() for path in rules}
    if config is not None:
        files[MAIN_FILE] = config.read_text()
    try:
        read_configuration(files)
    except RuleError as problem:
        raise click.UsageError(str(problem)) from None
    return files
