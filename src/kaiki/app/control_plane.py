"""The control plane, joined: caches → snapshot → proxies; the authority; webhooks; reconcilers. One process, one loop.

    KubeClient ─▶ SnapshotSource ─▶ DiscoveryServer (15012)        CertificateAuthority ─▶ both servers, every proxy
                       ├─▶ StatusWriter                             Webhooks (15017), monitoring (15014), reconcilers

Everything comes back from the API after a restart, and proxies are told only what has changed since.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import kaiki
from kaiki.admission.journal import Journal
from kaiki.admission.server import Webhooks, WebhookServer
from kaiki.app.bootstrap_patches import patched_gateway, start_filters
from kaiki.app.bootstrap_trials import BootstrapTrials, plain_bootstraps
from kaiki.app.control_plane_metrics import count_events, measure_process, measure_snapshot
from kaiki.app.envoy_trial import EnvoyTrial
from kaiki.app.proxies import gateway_arguments, render_bootstrap
from kaiki.app.proxy_settings import injection_of
from kaiki.authority.authority import CertificateAuthority
from kaiki.authority.issue import Root
from kaiki.authority.storage import load_or_create_root
from kaiki.discovery.authentication import DEBUG_AUDIENCE, Caller, TokenAuthenticator, Unauthenticated
from kaiki.discovery.configs import Configs
from kaiki.discovery.metrics import Metrics
from kaiki.discovery.monitoring import MonitoringServer
from kaiki.discovery.quarantine import Quarantine
from kaiki.discovery.server import DiscoveryServer
from kaiki.inject.pod import inject_pod
from kaiki.inject.settings import InjectionSettings
from kaiki.interpret.gateway_api.objects import KUBERNETES_GATEWAY
from kaiki.interpret.interpretation import Interpretation, check_object, interpret
from kaiki.kube.cache import Cache
from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig
from kaiki.kube.errors import KubeError, Unavailable
from kaiki.kube.resource import NAMESPACES
from kaiki.manifests.kubernetes_gateway import kubernetes_gateway_manifests
from kaiki.manifests.settings import InstallSettings, Platform
from kaiki.model.deployment import GatewayDeployment
from kaiki.model.finding import Finding
from kaiki.model.identity import DEFAULT_TRUST_DOMAIN
from kaiki.model.memo import Memo
from kaiki.model.proxy import Capture, Proxy, ProxyConfig
from kaiki.model.snapshot import EMPTY_SNAPSHOT, MeshSnapshot
from kaiki.reconcile.gateway_deployments import GatewayDeployments
from kaiki.reconcile.run import run_reconcilers
from kaiki.sources.collections import caches_of
from kaiki.sources.config_maps import ConfigMapReader, FollowedTogether
from kaiki.sources.credentials import CredentialReader
from kaiki.sources.gateway_status import GatewayStatusWriter
from kaiki.sources.mesh_names import MeshNamesWriter
from kaiki.sources.snapshot_source import SnapshotSource
from kaiki.sources.status import StatusWriter
from kaiki.translate.generate import generate
from kaiki.translate.provenance import Provenance, provenance

logger = logging.getLogger(__name__)

MESH_CONFIG = "istio"
"""The ConfigMap with the mesh config, in the control plane's namespace."""
_MOST_CATCH_UP_SECONDS = 2.0
REPORT_SECONDS = 1.0
API_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """How one control plane runs. Ports of 0 are chosen freely (tests); `elect_leader` for more than one replica."""

    namespace: str = "istio-system"
    capture: Capture = Capture.MARK
    host: str = "0.0.0.0"
    discovery_port: int = 15012
    webhook_port: int = 15017
    monitoring_port: int = 15014
    cluster_name: str = "Kubernetes"
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    revision: str = "default"
    proxy_image: str = "envoyproxy/envoy:v1.40.0"
    init_image: str = f"kaiki/kaiki:{kaiki.__version__}"
    elect_leader: bool = False
    kube: KubeConfig | None = None

    @property
    def serving_names(self) -> tuple[str, ...]:
        """The names by which proxies and the API server call istiod."""
        service = f"istiod.{self.namespace}"
        return f"{service}.svc", f"{service}.svc.cluster.local", service, "localhost"

    def gateway_installation(self) -> InstallSettings:
        """What gateways of the Gateway API are deployed with."""
        return InstallSettings(
            version=kaiki.__version__,
            platform=Platform.LOCAL if self.capture is Capture.MARK else Platform.KUBERNETES,
            console_token="",
            gateway_arguments=gateway_arguments(self.capture, self.namespace),
            namespace=self.namespace,
            revision=self.revision,
            trust_domain=self.trust_domain,
            cluster_name=self.cluster_name,
            proxy_image=self.proxy_image,
        )

    def injection(self) -> InjectionSettings:
        """What injection needs to know of the installation."""
        return InjectionSettings(
            version=kaiki.__version__,
            render_bootstrap=render_bootstrap,
            capture=self.capture,
            revision=self.revision,
            istio_namespace=self.namespace,
            trust_domain=self.trust_domain,
            cluster_name=self.cluster_name,
            proxy_image=self.proxy_image,
            init_image=self.init_image,
        )


@dataclass(frozen=True, slots=True)
class Listening:
    """The ports a control plane listens on."""

    discovery: int
    webhook: int
    monitoring: int


async def run_control_plane(
    settings: ControlPlaneSettings,
    stop: asyncio.Event | None = None,
    listening: asyncio.Future[Listening] | None = None,
) -> None:
    """Run a control plane until `stop` is set, SIGTERM or SIGINT arrives, or the task is cancelled.

    `listening` is resolved when the first snapshot is published and every port is open. Waits for the API when it is
    not there yet; raises AuthorityError when the Secret of the root is broken.
    """
    stop = stop or _stopped_by_signals()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient(settings.kube, user_agent="kaiki-control-plane"))
        root = await _load_root(client, settings.namespace)
        plane = ControlPlane(settings, client, CertificateAuthority(root))
        stack.push_async_callback(plane.close)
        ports = await plane.start(stop)
        logger.info("ready: discovery %d, webhooks %d, monitoring %d", *_numbers(ports))
        if listening is not None:
            listening.set_result(ports)
        await plane.run_until(stop)


class ControlPlane:
    """The parts of one control plane and the tasks that keep them going."""

    def __init__(self, settings: ControlPlaneSettings, client: KubeClient, authority: CertificateAuthority) -> None:
        self._settings = settings
        self._client = client
        self._authority = authority
        self._metrics = metrics = Metrics()
        metrics.set("istio_build", 1, component="pilot", tag=kaiki.__version__)
        measure_process(metrics, lambda: authority.root_ends_at)
        self._caches = caches_of(client)
        count_events(self._caches, metrics)
        self._credentials = CredentialReader(client)
        self._config_maps = ConfigMapReader(client)
        bootstraps = plain_bootstraps(settings.capture, settings.namespace, settings.trust_domain)
        self._trials = BootstrapTrials(EnvoyTrial().refusal, bootstraps)
        followed = FollowedTogether(self._credentials, self._config_maps, self._trials)
        quarantine = Quarantine()
        self._source = SnapshotSource(self._caches, interpret, followed=followed, withhold=quarantine.withhold)
        self._status = StatusWriter(client, self._caches)
        self._gateway_status = GatewayStatusWriter(client, self._caches)
        installation = settings.gateway_installation()
        self._gateways = GatewayDeployments(client, lambda one: kubernetes_gateway_manifests(one, installation))
        # Locally, pods ask the node for names; on a cluster, names of the mesh are the cluster's DNS's affair.
        publish_in = settings.namespace if settings.capture is Capture.MARK else ""
        self._mesh_names = MeshNamesWriter(client, self._caches["ServiceEntry"], publish_in)
        self._memo = Memo()
        authenticator = TokenAuthenticator(client.review_token)
        self._readers = TokenAuthenticator(client.review_token, audience=DEBUG_AUDIENCE)
        self._configs = Configs(
            self._generate, metrics, capture=settings.capture, trace=self._trace, quarantine=quarantine
        )
        self._configs.on_quarantine = self._source.refresh
        self._discovery = DiscoveryServer(
            self._configs,
            authority,
            lambda metadata: _authenticate(authenticator, metadata),
            metrics,
            serving_pair=lambda: authority.serving_pair(settings.serving_names),
            gateway_secrets=self._credentials,
        )
        self._injection = settings.injection()
        self._journal = Journal(client, settings.namespace)
        webhooks = Webhooks(
            self._inject,
            self._namespace_labels,
            self._check,
            metrics.count,
            self._journal.record,
            catch_up=self._source.catch_up,
            prepare=self._try_start,
        )
        self._webhooks = WebhookServer(webhooks.application())
        self._monitoring = MonitoringServer(
            metrics,
            self._discovery.describe_proxies,
            lambda: self._source.current is not None,
            self._describe_objects,
            self._discovery.describe_configuration,
            self._admit,
        )
        self._first_snapshot = asyncio.Event()
        self._published: Mapping[tuple[str, str, str], Any] = {}
        self._deployed: tuple[GatewayDeployment, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, stop: asyncio.Event) -> Listening:
        """Open the ports, fill the caches and publish the first snapshot."""
        self._source.subscribe(self._publish)
        self._source.subscribe(self._status.take)
        self._source.subscribe(self._gateway_status.take)
        self._source.subscribe(self._mesh_names.take)
        self._spawn("source", self._source.run())
        self._spawn("status", self._status.run())
        self._spawn("reports", self._report())
        self._spawn("gateway status", self._gateway_status.run())
        self._spawn("mesh names", self._mesh_names.run())
        self._spawn("journal", self._journal.run())
        self._webhooks.use(*self._serving_pem())
        host, settings = self._settings.host, self._settings
        webhook = await self._webhooks.start(host, settings.webhook_port)
        monitoring = await self._monitoring.start(host, settings.monitoring_port)
        self._spawn("webhook certificate", self._rotate_webhook_certificate())
        self._spawn("reconcilers", self._reconcile(stop))
        discovery = await self._discovery.start(f"{host}:{settings.discovery_port}")
        await self._first_snapshot.wait()
        return Listening(discovery, webhook, monitoring)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raise what a part failed with."""
        stopping = asyncio.ensure_future(stop.wait())
        done, _ = await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            if not stop.is_set():
                task.result()
                raise RuntimeError(f"the task {task.get_name()} of the control plane ended")

    async def close(self) -> None:
        """End every part. Proxies keep what they have."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._credentials.close()
        await self._config_maps.close()
        await self._discovery.stop()
        await self._webhooks.stop()
        await self._monitoring.stop()

    def _spawn(self, name: str, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _admit(self, headers: Any) -> Caller:
        """Pods of the control plane's own namespace may read what proxies have been told."""
        caller = await self._readers.authenticate(headers)
        if caller.namespace != self._settings.namespace:
            raise Unauthenticated(f"configurations are for pods of {self._settings.namespace} only")
        return caller

    def _describe_objects(self) -> list[dict[str, Any]]:
        """/debug/distribution, with the generation of each object (`metadata.generation`) that this is about.

        What some object was made into under a name of its own is no object.
        """
        described = []
        for entry in self._discovery.describe_objects():
            key = entry["kind"], entry["namespace"], entry["name"]
            written = self._source.inputs.get(key)
            if written is None:
                continue
            known = self._published.get(key) or {}
            group = str(written.get("apiVersion")).rpartition("/")[0]
            generation = (known.get("metadata") or {}).get("generation", 0)
            described.append({**entry, "kind": written.get("kind"), "group": group, "generation": generation})
        return described

    async def _publish(self, interpretation: Interpretation, changed_at: float) -> None:
        snapshot = interpretation.snapshot
        inputs = self._source.in_force
        await self._discovery.publish(snapshot, changed_at)
        self._published = inputs
        self._deploy(interpretation.gateway_api.deployments)
        measure_snapshot(snapshot, self._metrics)
        self._metrics.set("pilot_virt_services", len(self._caches["VirtualService"]))
        self._first_snapshot.set()

    def _deploy(self, wanted: tuple[GatewayDeployment, ...]) -> None:
        """The pods of Gateways. Those of a Gateway that is held back stay."""
        known = {(one.namespace, one.gateway) for one in wanted}
        refused = {(one.namespace, one.name) for one in self._configs.refused() if one.kind == KUBERNETES_GATEWAY}
        kept = (one for one in self._deployed if (one.namespace, one.gateway) in refused - known)
        self._deployed = (*wanted, *kept)
        self._gateways.take(self._deployed)

    async def _report(self) -> None:
        """Tell the status of objects what proxies made known."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            findings = self._configs.findings()
            self._status.report(findings)
            self._gateway_status.report(findings)

    def _generate(self, snapshot: MeshSnapshot, proxy: Proxy) -> ProxyConfig:
        return generate(snapshot, proxy, self._memo)

    def _trace(self, snapshot: MeshSnapshot, proxy: Proxy) -> Provenance:
        return provenance(snapshot, proxy, self._memo)

    async def _try_start(self, pod: Mapping[str, Any]) -> None:
        """Before a pod is made: wait for what is being tried, and try what several objects make of its bootstrap."""
        if self._trials.busy:
            await self._source.catch_up(_MOST_CATCH_UP_SECONDS)
        current = self._source.current
        if current is None or not current.snapshot.envoy_filters:
            return
        if await self._trials.combine(*start_filters(pod, current.snapshot)):
            await self._source.catch_up(_MOST_CATCH_UP_SECONDS)

    def _inject(self, pod: Mapping[str, Any], namespace_labels: Mapping[str, str]) -> Mapping[str, Any] | None:
        current = self._source.current
        snapshot = current.snapshot if current is not None else EMPTY_SNAPSHOT
        injected = inject_pod(pod, namespace_labels, injection_of(pod, snapshot, self._injection))
        return injected if injected is not None else patched_gateway(pod, snapshot)

    def _check(self, obj: Mapping[str, Any]) -> list[Finding]:
        current = self._source.current
        return check_object(obj, current.snapshot if current else EMPTY_SNAPSHOT, self._source.inputs)

    async def _namespace_labels(self, name: str) -> Mapping[str, str]:
        """From the cache; a namespace made a moment ago is asked for."""
        namespaces: Cache = self._caches["Namespace"]
        namespace = namespaces.get(None, name) or await self._client.get(NAMESPACES, name)
        return dict(namespace["metadata"].get("labels") or {})

    def _serving_pem(self) -> tuple[bytes, bytes]:
        pair = self._authority.serving_pair(self._settings.serving_names)
        self._webhook_rotation = pair.rotate_at
        return pair.certificate_pem, pair.key_pem

    async def _rotate_webhook_certificate(self) -> None:
        while True:
            await asyncio.sleep(max(1.0, (self._webhook_rotation - datetime.now(UTC)).total_seconds()))
            self._webhooks.use(*self._serving_pem())

    async def _reconcile(self, stop: asyncio.Event) -> None:
        def root_certificates() -> str:
            return self._authority.root_certificates.decode()

        elect_in = self._settings.namespace if self._settings.elect_leader else None
        await run_reconcilers(
            self._client, root_certificates, root_certificates, stop, elect_in=elect_in, gateways=self._gateways
        )
        await stop.wait()


async def _authenticate(authenticator: TokenAuthenticator, metadata: Any) -> Caller:
    return await authenticator.authenticate(metadata or ())


async def _load_root(client: KubeClient, namespace: str) -> Root:
    """The root, as soon as the API answers."""
    while True:
        try:
            return await load_or_create_root(client, datetime.now(UTC), namespace)
        except Unavailable as error:
            logger.warning("the Kubernetes API does not answer yet: %s", error)
        except KubeError:
            logger.error("the root's Secret cannot be read or made in namespace %s", namespace)
            raise
        await asyncio.sleep(API_RETRY_SECONDS)


def _stopped_by_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _numbers(ports: Listening) -> tuple[int, int, int]:
    return ports.discovery, ports.webhook, ports.monitoring


def settings_from_environment(settings: ControlPlaneSettings) -> ControlPlaneSettings:
    """The settings with what the pod's environment says: `TRUST_DOMAIN`, `CLUSTER_ID`, `REVISION`."""
    environment = os.environ
    return replace(
        settings,
        trust_domain=environment.get("TRUST_DOMAIN", settings.trust_domain),
        cluster_name=environment.get("CLUSTER_ID", settings.cluster_name),
        revision=environment.get("REVISION", settings.revision),
    )
