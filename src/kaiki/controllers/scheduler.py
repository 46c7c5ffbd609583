"""Binds pods to the one node there is, as soon as it takes them."""

from datetime import UTC, datetime

from kaiki.controllers.action import Effects, Patch, Report
from kaiki.controllers.conditions import find_condition, set_condition
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import key_of
from kaiki.kube.cache import CacheEvent, Key
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.kube.resource import NODES, PODS, Object

NODE_NAME = "kaiki"
SCHEDULER_NAME = "default-scheduler"


class Scheduler:
    """Every pod goes to `NODE_NAME`: with one machine there is nothing to weigh, only to refuse."""

    def __init__(self, client: KubeClient, stores: Stores, effects: Effects) -> None:
        self._client = client
        self._stores = stores
        self._effects = effects
        self.queue: WorkQueue[Key] = WorkQueue("scheduler", self.sync)

    def start(self) -> None:
        """Follows pods, and what the node takes."""
        self._stores[PODS].subscribe(self._changed)
        self._stores[NODES].subscribe(self._node_changed)

    def _changed(self, event: CacheEvent) -> None:
        if event.new is not None and waits_for_node(event.new):
            self.queue.add(key_of(event.new))

    def _node_changed(self, event: CacheEvent) -> None:
        """Heartbeats change nothing here: only what pods are compared with counts."""
        if event.old is None or event.new is None or _offer(event.old) != _offer(event.new):
            for pod in self._stores[PODS].items():
                if waits_for_node(pod):
                    self.queue.add(key_of(pod))

    async def sync(self, key: Key) -> None:
        """Binds one pod, if it still waits and the node takes it."""
        pod = self._stores[PODS].get(*key)
        if pod is None or not waits_for_node(pod):
            return
        node = self._stores[NODES].get(None, NODE_NAME)
        try:
            if node is not None and (why := refusal(pod, node)):
                await self._note_refusal(pod, f"0/1 nodes are available: 1 {why}.")
            else:
                await self._bind(pod, *key)
        except NotFound:
            return

    async def _bind(self, pod: Object, namespace: str | None, name: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME},
        }
        await self._client.create_subresource(PODS, name, namespace, "binding", binding)
        message = f"Successfully assigned {namespace}/{name} to {NODE_NAME}"
        self._effects.report(Report(pod, "Scheduled", message))

    async def _note_refusal(self, pod: Object, message: str) -> None:
        known = find_condition(pod, "PodScheduled")
        if known is not None and known.get("message") == message:
            return
        present = (pod.get("status") or {}).get("conditions") or ()
        conditions = set_condition(present, "PodScheduled", "False", "Unschedulable", message, datetime.now(UTC))
        await self._effects.run_one(Patch(pod, {"status": {"conditions": conditions}}, "status"))
        self._effects.report(Report(pod, "FailedScheduling", message, "Warning"))


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


def refusal(pod: Object, node: Object) -> str:
    """Why a node does not take a pod, in kube-scheduler's words; "" when it does.

    Looked at are cordons, taints and node selectors. Resources are not: processes share the machine as they like.
    """
    labels, spec = node["metadata"].get("labels") or {}, pod["spec"]
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return "node(s) didn't match Pod's node affinity/selector"
    for taint in (node.get("spec") or {}).get("taints") or ():
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _is_tolerated(taint, spec):
            return f"node(s) had untolerated taint(s) {{{taint['key']}: {taint.get('value', '')}}}"
    unschedulable = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if (node.get("spec") or {}).get("unschedulable") and not _is_tolerated(unschedulable, spec):
        return "node(s) were unschedulable"
    return ""


def _is_tolerated(taint: Object, spec: Object) -> bool:
    return any(
        toleration.get("effect") in (None, "", taint["effect"])
        and toleration.get("key") in (None, "", taint["key"])
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
        for toleration in spec.get("tolerations") or ()
    )


def _offer(node: Object) -> tuple[object, object, object]:
    spec = node.get("spec") or {}
    return node["metadata"].get("labels"), spec.get("taints"), spec.get("unschedulable")
