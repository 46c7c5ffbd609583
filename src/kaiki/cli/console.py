"""`kaiki console`: the web console."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import click

from kaiki.cli.addresses import Address, check_external_url
from kaiki.cli.console_login import login_options, read_login_options


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
@click.option(
    "--external-url",
    default="",
    envvar="KAIKI_CONSOLE_EXTERNAL_URL",
    callback=check_external_url,
    metavar="URL",
    help="The address people use, when something before the console gives it a name or ends TLS: "
    "https://mesh.example.org. The console answers to that name too, and its cookies are for https only.",
)
@click.option(
    "--session-hours",
    type=click.IntRange(1, 24 * 30),
    default=12,
    show_default=True,
    envvar="KAIKI_CONSOLE_SESSION_HOURS",
    help="How long somebody stays logged in.",
)
@login_options
def command(
    listen: tuple[str, int],
    metrics_url: str,
    tracing_url: str,
    read_only: bool,
    external_url: str,
    session_hours: int,
    **login: Any,
) -> None:
    """Serve the console.

    The token that opens it is in the Secret istio-system/kaiki-console. With --oidc-issuer and --oidc-client-id people
    log in with their accounts instead (authorization code flow with PKCE); register <external URL>/login/oidc/callback
    as redirect URL at the provider.

    Who may come in: those in an --oidc-group, or without one those whom Kubernetes lets list the pods of all namespaces
    (the ClusterRole view). Every change is made with their own identity: by their ID token, which the API server must
    trust, or with --oidc-identity=impersonate by the console's word for them. The guide "The console" tells more.
    """
    from kaiki.console.server import serve
    from kaiki.console.settings import ConsoleSettings
    from kaiki.kube.config import ConfigError, load_config

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    oidc = read_login_options(**login)
    try:
        kube = load_config()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    settings = ConsoleSettings(
        listen=listen,
        metrics_url=metrics_url,
        tracing_url=tracing_url,
        kube=kube,
        read_only=read_only,
        external_url=external_url,
        oidc=oidc,
        session_seconds=session_hours * 3600,
    )
    asyncio.run(serve(settings))
