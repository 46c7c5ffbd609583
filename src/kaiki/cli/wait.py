"""`kaiki wait`: until every proxy that needs an object has acknowledged what the control plane made of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from kaiki.app.home import Home, current_home
from kaiki.app.machine import MachineError
from kaiki.cli.console_api import ask_console
from kaiki.cli.failure import explained

POLL_SECONDS = 0.1
GROUP_VERSIONS = (
    "networking.istio.io/v1",
    "networking.istio.io/v1beta1",
    "networking.istio.io/v1alpha3",
    "telemetry.istio.io/v1",
    "security.istio.io/v1",
    "gateway.networking.k8s.io/v1",
    "gateway.networking.k8s.io/v1alpha2",
    "networking.k8s.io/v1",
)


@click.command()
@click.argument("target", metavar="KIND/NAME")
@click.option(
    "--for", "condition", type=click.Choice(["distribution"]), default="distribution", help="What to wait for."
)
@click.option("-n", "--namespace", default="default", show_default=True, help="The object's namespace.")
@click.option("--timeout", "timeout_seconds", default=30.0, show_default=True, help="Seconds to wait at most.")
def command(target: str, condition: str, namespace: str, timeout_seconds: float) -> None:
    """Wait until an object is in force: acknowledged, as it is now, by every proxy it makes something for.

    KIND is as kubectl has it: virtualservice, vs, httproute, destinationrule ….  Exit code 1 when the time is over.

    \b
    kubectl apply -f reviews.yaml && kaiki wait --for=distribution virtualservice/reviews
    """
    kind, slash, name = target.partition("/")
    if not (kind and slash and name):
        raise click.BadParameter(f"{target!r} is not KIND/NAME, as in virtualservice/reviews", param_hint="KIND/NAME")
    with explained():
        asyncio.run(_wait(current_home(), kind, namespace, name, time.monotonic() + timeout_seconds))


async def _wait(home: Home, kind: str, namespace: str, name: str, deadline: float) -> None:
    from kaiki.kube.client import KubeClient
    from kaiki.kube.config import load_config

    async with KubeClient(load_config(home.kubeconfig)) as client:
        path = await _path_of(client, kind, namespace)
        told = ""
        while True:
            obj = await client.request("GET", f"{path}/{name}", call=f"get {kind}/{name} in {namespace}")
            entry = entry_of(ask_console(home, "/api/distribution"), obj)
            if is_in_force(entry, obj):
                assert entry is not None
                click.echo(f"{describe(obj)} is in force at {entry['acknowledged']} of {entry['proxies']} proxies")
                return
            if (now := progress(entry, obj)) != told:
                told = now
                click.echo(f"{describe(obj)}: {told}", err=True)
            if time.monotonic() > deadline:
                raise MachineError(f"{describe(obj)} is not in force: {told}{problems(obj)}")
            await asyncio.sleep(POLL_SECONDS)


def describe(obj: dict[str, Any]) -> str:
    """`VirtualService default/reviews`."""
    return f"{obj['kind']} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def entry_of(answer: dict[str, Any], obj: dict[str, Any]) -> dict[str, Any] | None:
    """What `/api/distribution` tells of an object; None when no proxy has anything of it."""
    group = str(obj.get("apiVersion")).rpartition("/")[0]
    key = group, obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
    known = answer["objects"]
    return next((one for one in known if (one["group"], one["kind"], one["namespace"], one["name"]) == key), None)


def is_in_force(entry: dict[str, Any] | None, obj: dict[str, Any]) -> bool:
    """Whether all of its proxies have acknowledged the object as it is now."""
    if entry is None or entry["refused"] or entry["generation"] < obj["metadata"].get("generation", 0):
        return False
    return bool(entry["acknowledged"] == entry["proxies"] > 0)


def progress(entry: dict[str, Any] | None, obj: dict[str, Any]) -> str:
    """How far an object that is not in force has got."""
    if entry is None:
        return "no proxy has anything of it"
    if entry["refused"]:
        return f"Envoy refuses what comes of it ({entry['refused'].rstrip('.')})"
    if entry["generation"] < obj["metadata"].get("generation", 0):
        return "the control plane has not taken over its last change"
    return f"{entry['acknowledged']} of {entry['proxies']} proxies have it, waiting for {', '.join(entry['waiting'])}"


def problems(obj: dict[str, Any]) -> str:
    """What its status says is wrong with it, a line each."""
    status = obj.get("status") or {}
    said = [
        f"{(one.get('type') or {}).get('code', '')} {one.get('message', '')}".strip()
        for one in status.get("validationMessages") or ()
    ]
    parts = [status, *(status.get("parents") or ()), *(status.get("ancestors") or ())]
    said += [
        f"{one.get('type')}={one.get('status')}: {one.get('message')}"
        for part in parts
        for one in part.get("conditions") or ()
        if one.get("status") == "False" and one.get("message")
    ]
    return "".join(f"\n  {text}" for text in said)


async def _path_of(client: Any, kind: str, namespace: str) -> str:
    """The API path of a kind's objects, by any name that kubectl takes. Raises MachineError for others."""
    from kaiki.kube.errors import NotFound

    wanted, known = kind.lower(), []
    for group_version in GROUP_VERSIONS:
        try:
            answer = await client.request("GET", f"/apis/{group_version}", call=f"discover {group_version}")
        except NotFound:
            continue
        for item in answer["resources"]:
            names = {item["name"], item.get("singularName"), item["kind"].lower(), *item.get("shortNames", ())}
            group = group_version.partition("/")[0]
            if "/" not in item["name"] and wanted in {*names, *(f"{one}.{group}" for one in names)}:
                return f"/apis/{group_version}/namespaces/{namespace}/{item['name']}"
            known.append(item["kind"].lower())
    kinds = ", ".join(sorted({one for one in known if not one.endswith("list")}))
    raise MachineError(f"{kind!r} is no kind that makes something for proxies; there are {kinds}.")
