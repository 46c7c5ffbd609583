"""Every proxy, as its pod and the control plane's replicas tell of it: version, state, what it refused, certificate."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.errors import ProxyUnavailable, UnknownObject
from kaiki.console.inventory import Inventory
from kaiki.console.workloads import PROXY_CONTAINER, has_proxy, is_ready, owner_of
from kaiki.model.well_known import ROOT_NAMESPACE

Object = dict[str, Any]
_FINISHED = ("Succeeded", "Failed")


class Replica(NamedTuple):
    """One pod of the control plane, and its entries; None when it does not answer."""

    name: str
    pod: Object | None
    entries: list[Object] | None


async def ask_replicas(control_plane: ControlPlaneClient, inventory: Inventory, page: str = "syncz") -> list[Replica]:
    """A page of each running replica: a proxy is connected to one of them. Without pods, of whichever answers."""
    pods = [pod for pod in inventory.objects("pods") if _is_control_plane(pod)]
    pods.sort(key=lambda pod: str(pod["metadata"]["name"]))
    if not pods:
        return [Replica(control_plane.url, None, await control_plane.entries(page))]
    answers = list(await asyncio.gather(*(_ask(control_plane, pod, page) for pod in pods)))
    if all(entries is None for entries in answers):  # Their addresses cannot be reached, but perhaps their Service.
        answers[0] = await control_plane.entries(page)
    return [Replica(str(pod["metadata"]["name"]), pod, entries) for pod, entries in zip(pods, answers, strict=True)]


class Told(NamedTuple):
    """What a proxy has been told, and the replica that says so."""

    replica: str
    told: Object


async def ask_configuration(control_plane: ControlPlaneClient, inventory: Inventory, proxy: str) -> Told:
    """What a proxy (`pod.namespace`) has been told, of the replica that serves it.

    Raises UnknownObject when it is connected to none of them, and ProxyUnavailable when none may be asked.
    """
    pods = [pod for pod in inventory.objects("pods") if _is_control_plane(pod)]
    asked = [(str(pod["metadata"]["name"]), str((pod.get("status") or {}).get("podIP") or "")) for pod in pods]
    asked = [one for one in asked if one[1]] or [(control_plane.url, "")]
    answers = list(await asyncio.gather(*(control_plane.configuration(proxy, address) for _, address in asked)))
    if all(status == 0 for status, _ in answers) and asked[0][1]:
        answers[0] = await control_plane.configuration(proxy)
    for (name, _), (status, told) in zip(asked, answers, strict=True):
        if status == 200 and isinstance(told, dict):
            return Told(name, told)
    if all(status == 0 for status, _ in answers):
        causes = "; ".join(f"{name}: {told}" for (name, _), (_, told) in zip(asked, answers, strict=True))
        raise ProxyUnavailable(f"the control plane does not answer: {causes}")
    refusals = [f"{name}: {told}" for (name, _), (status, told) in zip(asked, answers, strict=True) if status != 404]
    if refusals:
        hint = (
            "`kaiki install`, or `kubectl apply -f samples/addons/kiali.yaml`, gives the console's account the right."
        )
        if problem := control_plane.token_problem:
            refusals.append(problem)
        raise ProxyUnavailable(f"the control plane does not tell what {proxy} has: {'; '.join(refusals)}", hint)
    hint = "It may have no proxy, or have ended: the page of the mesh lists all proxies there are."
    raise UnknownObject(f"no proxy {proxy} is connected to the control plane", hint)


async def _ask(control_plane: ControlPlaneClient, pod: Object, page: str) -> list[Object] | None:
    address = str((pod.get("status") or {}).get("podIP") or "")
    return await control_plane.entries(page, address) if address else None


def _is_control_plane(pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    running = (pod.get("status") or {}).get("phase") not in _FINISHED
    return running and pod["metadata"].get("namespace") == ROOT_NAMESPACE and labels.get("app") == "istiod"


def describe_proxies(inventory: Inventory, replicas: list[Replica]) -> list[Object]:
    """One row for each pod with a proxy, and for each proxy without a known pod; sorted by namespace and pod."""
    entries = {
        str(entry.get("proxy", "")): (replica.name, entry) for replica in replicas for entry in replica.entries or ()
    }
    answered = any(replica.entries is not None for replica in replicas)
    rows = []
    for pod in inventory.objects("pods"):
        if not _runs_proxy(pod):
            continue
        name, namespace = str(pod["metadata"]["name"]), str(pod["metadata"].get("namespace", ""))
        rows.append(_describe(name, namespace, pod, entries.pop(f"{name}.{namespace}", None), answered))
    for proxy, found in entries.items():
        name, _, namespace = proxy.rpartition(".")
        rows.append(_describe(name, namespace, None, found, answered))
    return sorted(rows, key=lambda row: (row["namespace"], row["pod"]))


def _runs_proxy(pod: Object) -> bool:
    return has_proxy(pod) and (pod.get("status") or {}).get("phase") not in _FINISHED


def _describe(
    name: str, namespace: str, pod: Object | None, found: tuple[str, Object] | None, answered: bool
) -> Object:
    replica, entry = found or ("", {})
    rejected = [_rejection(item) for item in entry.get("rejected") or ()]
    last = entry.get("last_rejection")
    return {
        "pod": name,
        "namespace": namespace,
        "workload": owner_of(pod)[1] if pod is not None else "",
        "kind": entry.get("proxy_type") or "",
        "ready": pod is not None and is_ready(pod),
        "replica": replica,
        "version": entry.get("proxy_version") or _version_of_image(pod),
        "state": _state(entry, answered, bool(rejected)),
        "rejected": rejected,
        "lastRejection": _rejection(last) | {"at": str(last.get("at") or "")} if isinstance(last, dict) else None,
        "certificate": _certificate(entry.get("certificate")),
    }


def _state(entry: Object, answered: bool, rejecting: bool) -> str:
    """`synced`, `stale` (being updated), `rejecting`, `never` (not connected), or `unknown`: nobody to ask."""
    if not entry:
        return "never" if answered else "unknown"
    if rejecting:
        return "rejecting"
    return "synced" if entry.get("synced") else "stale"


def _rejection(item: Object) -> Object:
    return {name: str(item.get(name, "")) for name in ("type", "name", "reason")}


def _certificate(found: Any) -> Object | None:
    if not isinstance(found, dict):
        return None
    told = {"identity": "identity", "expires": "expires_at", "rotates": "rotates_at"}
    return {name: str(found.get(key, "")) for name, key in told.items()}


def _version_of_image(pod: Object | None) -> str:
    spec = (pod or {}).get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if container.get("name") == PROXY_CONTAINER:
            return version_of_image(container.get("image", ""))
    return ""


def version_of_image(image: str) -> str:
    """A tag that says a version, without its `v`; empty without a tag."""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return tag.partition("@")[0].removeprefix("v") if colon else ""
