"""Starts all controllers over one set of caches, and stops them together."""

import asyncio

from kaiki.controllers.action import Effects
from kaiki.controllers.collector import Collector
from kaiki.controllers.disruption import DisruptionController
from kaiki.controllers.job import plan_job
from kaiki.controllers.namespaces import NamespaceController
from kaiki.controllers.pod_set import plan_daemon_set, plan_stateful_set
from kaiki.controllers.pod_sets import PodSetController
from kaiki.controllers.scheduler import SCHEDULER_NAME, Scheduler
from kaiki.controllers.services import EndpointController
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import DeploymentController, ReplicaSetController
from kaiki.kube.cache import running
from kaiki.kube.client import KubeClient
from kaiki.kube.events import EventRecorder
from kaiki.kube.resource import DAEMON_SETS, JOBS, STATEFUL_SETS


async def run_controllers(client: KubeClient, stop: asyncio.Event) -> None:
    """Runs Kubernetes' controllers until `stop` is set. Survives restarts of the API server.

    Needs full rights. Idle, it does nothing: all work starts from watch events.
    """
    stores = Stores(client)
    effects = Effects(client, stores, EventRecorder(client, "kaiki-controllers"))
    scheduler_effects = Effects(client, stores, EventRecorder(client, SCHEDULER_NAME))
    collector = Collector(client, stores, effects)
    controllers = (
        NamespaceController(client, stores),
        DeploymentController(stores, effects),
        ReplicaSetController(stores, effects),
        PodSetController(STATEFUL_SETS, plan_stateful_set, stores, effects),
        PodSetController(DAEMON_SETS, plan_daemon_set, stores, effects),
        PodSetController(JOBS, plan_job, stores, effects),
        Scheduler(client, stores, scheduler_effects),
        EndpointController(stores, effects),
        DisruptionController(stores, effects),
        collector,
    )
    async with running(*stores.by_type.values()):
        for controller in controllers:
            controller.start()
        try:
            await stop.wait()
        finally:
            for controller in controllers:
                await controller.queue.close()
            await collector.close()
            await effects.close()
            await scheduler_effects.close()
