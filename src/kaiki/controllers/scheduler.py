"""Binds pods to the one node there is, at once."""

from kaiki.controllers.action import Effects, Report
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import key_of
from kaiki.kube.cache import CacheEvent, Key
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.kube.resource import PODS, Object

NODE_NAME = "kaiki"
SCHEDULER_NAME = "default-scheduler"


class Scheduler:
    """Every pod goes to `NODE_NAME`: with one machine there is nothing to weigh."""

    def __init__(self, client: KubeClient, stores: Stores, effects: Effects) -> None:
        self._client = client
        self._stores = stores
        self._effects = effects
        self.queue: WorkQueue[Key] = WorkQueue("scheduler", self.sync)

    def start(self) -> None:
        """Follows pods."""
        self._stores[PODS].subscribe(self._changed)

    def _changed(self, event: CacheEvent) -> None:
        if event.new is not None and waits_for_node(event.new):
            self.queue.add(key_of(event.new))

    async def sync(self, key: Key) -> None:
        """Binds one pod, if it still waits."""
        pod = self._stores[PODS].get(*key)
        if pod is None or not waits_for_node(pod):
            return
        namespace, name = key
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME},
        }
        try:
            await self._client.create_subresource(PODS, name, namespace, "binding", binding)
        except NotFound:
            return
        message = f"Successfully assigned {namespace}/{name} to {NODE_NAME}"
        self._effects.report(Report(pod, "Scheduled", message))


def waits_for_node(pod: Object) -> bool:
    """Not bound, not gated, not going away, and not left to another scheduler."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not spec.get("schedulingGates")
        and not pod["metadata"].get("deletionTimestamp")
        and (spec.get("schedulerName") or SCHEDULER_NAME) == SCHEDULER_NAME
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )
