"""Waiting for workloads, told one by one as they become ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from kaiki.kube.cache import Cache, running
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import DEPLOYMENTS, Object


def is_ready(deployment: Object) -> bool:
    """Whether a rollout is complete: the newest generation was seen, and all its replicas are available."""
    status, metadata = deployment.get("status") or {}, deployment["metadata"]
    wanted = deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= metadata.get("generation", 1)
        and status.get("updatedReplicas", 0) >= wanted
        and status.get("availableReplicas", 0) >= wanted
    )


async def wait_for_deployments(
    client: KubeClient, namespace: str, names: Iterable[str], timeout_seconds: float
) -> AsyncIterator[str]:
    """Yield each Deployment's name when it is ready; raises KubeError naming those that are not in time."""
    waiting, changed = set(names), asyncio.Event()
    cache = Cache(client, DEPLOYMENTS, namespace=namespace)
    async with running(cache):
        cache.subscribe(lambda event: changed.set())
        try:
            async with asyncio.timeout(timeout_seconds):
                while waiting:
                    found = ((name, cache.get(namespace, name)) for name in sorted(waiting))
                    for name in [name for name, obj in found if obj is not None and is_ready(obj)]:
                        waiting.discard(name)
                        yield name
                    if waiting:
                        await changed.wait()
                        changed.clear()
        except TimeoutError:
            raise KubeError(
                f"not ready after {timeout_seconds:.0f} s: {', '.join(sorted(waiting))} in {namespace}. "
                f"`kaiki kubectl get pods -n {namespace}` shows why."
            ) from None
