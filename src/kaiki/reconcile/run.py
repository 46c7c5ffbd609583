"""Starts the reconcilers over their caches, and stops them together."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from kaiki.kube.cache import Cache, drop_managed_fields, running
from kaiki.kube.client import KubeClient
from kaiki.kube.lease import LeaderElection
from kaiki.kube.resource import CONFIG_MAPS, NAMESPACES
from kaiki.reconcile.gateway_deployments import GatewayDeployments
from kaiki.reconcile.root_certificate import CONFIG_MAP_NAME, RootCertificates
from kaiki.reconcile.webhook import WEBHOOK_CONFIGURATIONS, WebhookBundle

LEASE_NAME = "istio-leader"


async def run_reconcilers(
    client: KubeClient,
    root_certificates: Callable[[], str],
    webhook_ca: Callable[[], str],
    stop: asyncio.Event,
    *,
    renewed: asyncio.Event | None = None,
    elect_in: str | None = None,
    gateways: GatewayDeployments | None = None,
) -> None:
    """Keeps the root certificate ConfigMaps and the webhooks' CA bundles right until `stop` is set.

    `root_certificates` and `webhook_ca` answer PEM texts, as they are now; set `renewed` when an answer changes, and
    it is cleared once taken in. `gateways` are deployed meanwhile, if given. With `elect_in` (a namespace) only the
    holder of the Lease `istio-leader` there writes.
    """
    renewed = renewed or asyncio.Event()

    async def work() -> None:
        await _reconcile(client, root_certificates, webhook_ca, renewed, gateways)

    identity = f"{socket.gethostname()}_{os.getpid()}"
    job = work() if elect_in is None else LeaderElection(client, elect_in, LEASE_NAME, identity).run(work)
    task = asyncio.ensure_future(job)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for pending in (task, stopping):
            pending.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


async def _reconcile(
    client: KubeClient,
    root_certificates: Callable[[], str],
    webhook_ca: Callable[[], str],
    renewed: asyncio.Event,
    gateways: GatewayDeployments | None,
) -> None:
    by_name = f"metadata.name={CONFIG_MAP_NAME}"
    namespaces = Cache(client, NAMESPACES, trim=drop_managed_fields)
    config_maps = Cache(client, CONFIG_MAPS, field_selector=by_name, trim=drop_managed_fields)
    hooks = {
        name: Cache(client, resource, field_selector=f"metadata.name={name}", trim=drop_managed_fields)
        for resource, name in WEBHOOK_CONFIGURATIONS
    }
    parts: list[RootCertificates | WebhookBundle | GatewayDeployments] = [
        RootCertificates(client, namespaces, config_maps, root_certificates),
        *(WebhookBundle(client, cache, name, webhook_ca) for name, cache in hooks.items()),
    ]
    more = gateways.caches() if gateways is not None else []
    if gateways is not None:
        parts.append(gateways)
    async with running(namespaces, config_maps, *hooks.values(), *more), contextlib.AsyncExitStack() as stack:
        for part in parts:
            part.start()
            worker = asyncio.ensure_future(part.work.run())
            stack.callback(worker.cancel)
        while True:
            await renewed.wait()
            renewed.clear()
            for part in parts:
                part.renew()
