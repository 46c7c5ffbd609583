"""`kaiki status`: what runs, whether it is well, and where it can be reached."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from kaiki.app.home import Home, current_home
from kaiki.app.machine import MachineError, read_state
from kaiki.cli.console_api import ask_console
from kaiki.cli.failure import explained


def summarise_pods(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a workload and namespace: pods, how many are ready, how many have a sidecar, restarts."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status", {})
        labels = metadata.get("labels", {})
        name = workload_of(metadata, labels)
        row = rows.setdefault(
            (metadata["namespace"], name),
            {"namespace": metadata["namespace"], "workload": name, "pods": 0, "ready": 0, "sidecars": 0, "restarts": 0},
        )
        row["pods"] += 1
        row["ready"] += any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        row["sidecars"] += any(c["name"] == "istio-proxy" for c in pod["spec"].get("initContainers", []))
        statuses = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
        row["restarts"] += sum(container.get("restartCount", 0) for container in statuses)
    return [rows[key] for key in sorted(rows)]


def workload_of(metadata: dict[str, Any], labels: dict[str, str]) -> str:
    """The Deployment's name for a pod of one (its ReplicaSet's name less the hash), else the pod's own."""
    owner = next(iter(metadata.get("ownerReferences", [])), None)
    if owner is None:
        return str(metadata["name"])
    suffix = f"-{labels['pod-template-hash']}" if "pod-template-hash" in labels else ""
    return str(owner["name"]).removesuffix(suffix)


async def collect(kubeconfig: Any) -> list[dict[str, Any]]:
    from kaiki.kube.client import KubeClient
    from kaiki.kube.config import load_config
    from kaiki.kube.resource import PODS

    async with KubeClient(load_config(kubeconfig)) as client:
        return summarise_pods(await client.list(PODS))


def distribution(home: Home) -> list[dict[str, Any]]:
    """How many of its proxies have acknowledged each object of the mesh; nothing while the console is not there."""
    try:
        found: list[dict[str, Any]] = ask_console(home, "/api/distribution")["objects"]
    except MachineError:
        return []
    return found


def print_distribution(objects: list[dict[str, Any]]) -> None:
    lines = [["OBJECT", "IN FORCE", "WAITING FOR"]]
    for one in objects:
        counts = f"{one['acknowledged']}/{one['proxies']}"
        waiting = "refused by Envoy, see its status" if one["refused"] else ", ".join(one["waiting"])
        lines.append([f"{one['kind']} {one['namespace']}/{one['name']}", counts, waiting])
    print_lines(lines)


def print_table(rows: list[dict[str, Any]]) -> None:
    titles = {
        "namespace": "NAMESPACE",
        "workload": "WORKLOAD",
        "ready": "READY",
        "sidecars": "SIDECARS",
        "restarts": "RESTARTS",
    }
    lines = [[*titles.values()]]
    for row in rows:
        ready = f"{row['ready']}/{row['pods']}"
        lines.append([row["namespace"], row["workload"], ready, str(row["sidecars"]), str(row["restarts"])])
    print_lines(lines)


def print_lines(lines: list[list[str]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        click.echo("   ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


@click.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def command(output: str) -> None:
    """Show what runs and where it can be reached. Exit code 3 when no mesh runs."""
    home = current_home()
    state = read_state(home)
    if state is None:
        click.echo(
            json.dumps({"running": False, "home": str(home.path)})
            if output == "json"
            else f"no mesh runs from {home.path}"
        )
        raise click.exceptions.Exit(3)
    with explained():
        rows = asyncio.run(collect(home.kubeconfig))
    objects = distribution(home)
    if output == "json":
        document = {
            "running": True,
            "home": str(home.path),
            "pid": state.process_id,
            "urls": state.urls,
            "workloads": rows,
            "configuration": objects,
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"home       {home.path}\nlauncher   pid {state.process_id}")
    for name, url in sorted(state.urls.items()):
        click.echo(f"{name:<10} {url}")
    click.echo()
    print_table(rows)
    if objects:
        click.echo()
        print_distribution(objects)
