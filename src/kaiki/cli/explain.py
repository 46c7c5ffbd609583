"""`kaiki explain`: why the mesh does what it does."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import click

from kaiki.app.home import current_home
from kaiki.app.machine import require_running
from kaiki.cli.failure import explained


@click.group()
def command() -> None:
    """Say why a request goes where it goes."""


@command.command()
@click.argument("source")
@click.argument("url")
@click.option("-n", "--namespace", default="default", help="The namespace of SOURCE.")
@click.option("-X", "--method", default="GET", help="The request's method.")
@click.option("-H", "--header", "headers", multiple=True, help="A header, as 'name: value'.")
@click.option("--language", type=click.Choice(["en", "ko"]), default="en", help="The language of the steps.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def request(
    source: str, url: str, namespace: str, method: str, headers: tuple[str, ...], language: str, output: str
) -> None:
    """Walk a request through the proxy of SOURCE (a pod, workload or app): each decision, and the object behind it.

    URL is what the client calls: http://reviews:9080/x, tcp://db:5432, tls://name:443. For a gateway, the port is the
    one of its Service. Nothing is sent. Lines are those of the object as the console's editor shows it.
    """
    from kaiki.console.step_texts import tell_step
    from kaiki.translate.simulation.explanation import UnknownProxy

    asked = request_of(url, method, headers)
    try:
        with explained():
            outcome, lines = asyncio.run(_explain(namespace, source, asked))
    except UnknownProxy as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        click.echo(json.dumps(as_json(outcome, lines), indent=2))
        return
    for step in outcome.steps:
        click.echo(describe(step, tell_step(step, language), lines.line_of(step)))
    click.echo(summary(outcome))


def request_of(url: str, method: str = "GET", headers: tuple[str, ...] = ()) -> Any:
    """The request a URL and headers stand for. Raises click.UsageError."""
    from kaiki.translate.simulation.asking import read_request

    try:
        return read_request(url, method, headers)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


async def _explain(namespace: str, source: str, asked: Any) -> Any:
    from kaiki.app.explanation import read_mesh
    from kaiki.console.step_lines import StepLines
    from kaiki.kube.client import KubeClient
    from kaiki.kube.config import load_config
    from kaiki.translate.simulation.explanation import explain_request, proxy_of

    require_running(current_home())
    async with KubeClient(load_config(current_home().kubeconfig)) as client:
        snapshot, inputs = await read_mesh(client)
    return explain_request(snapshot, proxy_of(snapshot, namespace, source), asked), StepLines(inputs)


def as_json(outcome: Any, lines: Any) -> dict[str, Any]:
    """An outcome for programs: what it says, and the line of every step."""
    found = dataclasses.asdict(outcome)
    for key, steps in (("steps", outcome.steps), ("passed_over", outcome.passed_over)):
        found[key] = [{**one, "line": lines.line_of(step)} for one, step in zip(found[key], steps, strict=True)]
    return found


def describe(step: Any, says: str, line: int) -> str:
    """A step in one line: what decided, what it says, and the object, field and line behind it."""
    place = f"{step.field}, line {line}" if step.field and line else step.field
    origin = f"  ← {step.source} {place}".rstrip() if step.source else ""
    return f"{step.part}: {step.name} ({says}){origin}" if step.name else f"{step.part}: {says}{origin}"


def summary(outcome: Any) -> str:
    """The end in one or a few lines."""
    lines = [f"→ {outcome.verdict}" + (f" with {outcome.status}" if outcome.status else "")]
    total = sum(share.weight for share in outcome.clusters) or 1
    lines += [f"  {100 * share.weight / total:g} % to {share.cluster}" for share in outcome.clusters]
    lines += [f"  a copy of {percent:g} % to {cluster}" for cluster, percent in outcome.mirrors]
    if outcome.location:
        lines.append(f"  Location: {outcome.location}")
    elif outcome.path:
        lines.append(f"  as {outcome.host}{outcome.path}")
    return "\n".join(lines)
