"""Starts all controllers over one set of caches, and stops them together."""

import asyncio

from kaiki.controllers.action import Effects
from kaiki.controllers.collector import Collector
from kaiki.controllers.namespaces import NamespaceController
from kaiki.controllers.scheduler import SCHEDULER_NAME, Scheduler
from kaiki.controllers.services import EndpointController
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import DeploymentController, ReplicaSetController
from kaiki.kube.cache import running
from kaiki.kube.client import KubeClient
from kaiki.kube.events import EventRecorder


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
        Scheduler(client, stores, scheduler_effects),
        EndpointController(stores, effects),
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
