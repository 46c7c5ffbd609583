"""The console's process: joins access, metrics, inventory and pages, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from kaiki.console.access import Access
from kaiki.console.cardinality import CardinalityHandlers
from kaiki.console.changes import ChangeHandlers
from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.cookies import Cookies
from kaiki.console.debug_token import DebugToken
from kaiki.console.details import LogHandlers
from kaiki.console.distribution import DistributionHandlers
from kaiki.console.editing import EditingHandlers
from kaiki.console.effective.handlers import EffectiveHandlers
from kaiki.console.events import EventHandlers
from kaiki.console.explaining import ExplainHandlers
from kaiki.console.explaining_logged import LoggedHandlers
from kaiki.console.graphs import Graphs
from kaiki.console.handlers import Handlers
from kaiki.console.health import HealthHandlers
from kaiki.console.identity import Identities
from kaiki.console.inventory import EmptyInventory, Inventory, WatchedInventory
from kaiki.console.kiali import KialiHandlers
from kaiki.console.login_page import LoginPage
from kaiki.console.mesh_state import MeshHandlers
from kaiki.console.metrics import MetricsClient
from kaiki.console.names import NameHandlers
from kaiki.console.oidc.admission import Admission
from kaiki.console.oidc.login import OidcLogin
from kaiki.console.oidc.provider import Provider
from kaiki.console.oidc.sessions import Sessions, identity_of
from kaiki.console.pages import Pages
from kaiki.console.people import PeopleHandlers
from kaiki.console.protection import build_protection, nobody, protect_headers
from kaiki.console.request_log import RequestLogHandlers
from kaiki.console.sealing import Seal
from kaiki.console.settings import KUBE_ANSWER_SECONDS, ConsoleSettings, TokenSecret
from kaiki.console.subjects import SubjectHandlers
from kaiki.console.summaries import SummaryHandlers
from kaiki.console.traces import TraceHandlers, TracesClient
from kaiki.console.versions import VersionHandlers
from kaiki.kube.client import KubeClient
from kaiki.kube.config import ConfigError
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import SECRETS

logger = logging.getLogger(__name__)

TOKEN_REFRESH_SECONDS = 30.0
TOKEN_RETRY_SECONDS = 0.5
LARGEST_REQUEST_BYTES = 1024 * 1024


async def serve(settings: ConsoleSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with running(settings) as address:
        logger.info("console listens on %s:%d", *address)
        await stopped.wait()


@asynccontextmanager
async def running(settings: ConsoleSettings) -> AsyncIterator[tuple[str, int]]:
    """The console while inside; gives the address it listens on (port 0 picks a free one)."""
    async with AsyncExitStack() as stack:
        access = Access(settings.token, settings.session_seconds, settings.login_code_seconds)
        client = await _open_client(stack, settings, access)
        inventory = await _open_inventory(stack, client)
        metrics = MetricsClient(settings.metrics_url, settings.metrics_timeout_seconds)
        stack.push_async_callback(metrics.close)
        traces = TracesClient(settings.tracing_url, settings.metrics_timeout_seconds)
        stack.push_async_callback(traces.close)
        control_plane = ControlPlaneClient(settings.control_plane_url, DebugToken(client))
        stack.push_async_callback(control_plane.close)
        runner = web.AppRunner(
            build_application(settings, access, metrics, inventory, control_plane, traces, client),
            access_log=None,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, *settings.listen)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield host, port


def build_application(
    settings: ConsoleSettings,
    access: Access,
    metrics: MetricsClient,
    inventory: Inventory,
    control_plane: ControlPlaneClient,
    traces: TracesClient,
    client: KubeClient | None = None,
) -> web.Application:
    """The web application alone, without listening."""
    cookies = Cookies(settings.external_url)
    identities = Identities(
        Seal(access, "identity"),
        settings.kube,
        settings.session_seconds,
        read_only=settings.read_only,
        cookies=cookies,
        logged_in=identity_of,
    )
    sessions = build_sessions(settings, access, identities, cookies)
    application = web.Application(
        middlewares=[build_protection(access, settings.hosts, sessions.knows if sessions else nobody)],
        client_max_size=LARGEST_REQUEST_BYTES,
    )
    page = LoginPage(settings.oidc.title if settings.oidc else "")
    if sessions is not None:
        sessions.mount(application)
        login = OidcLogin(sessions, Seal(access, "login"), cookies, page, access, identities, settings.external_url)
        application.add_routes(login.routes())
    changes = ChangeHandlers(client)
    graphs = Graphs(metrics, inventory)
    application.add_routes(Handlers(settings, metrics, inventory, changes, graphs).routes())
    events = EventHandlers(graphs, inventory, changes)
    application.on_shutdown.append(events.close)
    application.on_response_prepare.append(protect_headers)
    application.add_routes(events.routes())
    application.add_routes(VersionHandlers(graphs, inventory).routes())
    application.add_routes(NameHandlers(inventory).routes())
    application.add_routes(LogHandlers(inventory).routes())
    application.add_routes(SummaryHandlers(metrics, inventory).routes())
    application.add_routes(SubjectHandlers(settings, metrics, inventory, control_plane).routes())
    application.add_routes(MeshHandlers(metrics, inventory, control_plane, traces).routes())
    application.add_routes(DistributionHandlers(inventory, control_plane).routes())
    application.add_routes(HealthHandlers(metrics, inventory).routes())
    application.add_routes(EffectiveHandlers(inventory, control_plane).routes())
    application.add_routes(KialiHandlers(metrics, inventory).routes())
    application.add_routes(TraceHandlers(traces).routes())
    application.add_routes(RequestLogHandlers(inventory, client).routes())
    application.add_routes(CardinalityHandlers(metrics).routes())
    application.add_routes(EditingHandlers(client, identities).routes())
    application.add_routes(PeopleHandlers(identities, access, sessions, connected=client is not None).routes())
    application.add_routes(changes.routes())
    explaining = ExplainHandlers(client)
    application.add_routes(explaining.routes())
    application.add_routes(LoggedHandlers(inventory, changes, explaining.mesh).routes())
    application.add_routes(Pages(access, identities=identities, page=page, cookies=cookies).routes())
    return application


def build_sessions(
    settings: ConsoleSettings, access: Access, identities: Identities, cookies: Cookies
) -> Sessions | None:
    """The sessions of people who log in with their accounts; None when they can't."""
    if settings.oidc is None:
        return None
    admission = Admission(settings.oidc, identities, connected=settings.kube is not None)
    provider, seal = Provider(settings.oidc), Seal(access, "person")
    return Sessions(provider, seal, cookies, admission.admit, settings.session_seconds)


async def _open_client(stack: AsyncExitStack, settings: ConsoleSettings, access: Access) -> KubeClient | None:
    if settings.kube is None:
        return None
    client = await stack.enter_async_context(
        KubeClient(settings.kube, user_agent="kaiki-console", answer_seconds=KUBE_ANSWER_SECONDS)
    )
    if access.token is None and settings.token_secret is not None:
        task = asyncio.create_task(_follow_token(client, settings.token_secret, access))
        stack.push_async_callback(_end, task)
    return client


async def _open_inventory(stack: AsyncExitStack, client: KubeClient | None) -> Inventory:
    if client is None:
        return EmptyInventory()
    inventory = WatchedInventory(client)
    await stack.enter_async_context(inventory.running())
    return inventory


async def _follow_token(client: KubeClient, secret: TokenSecret, access: Access) -> None:
    """Read the token until there is one, then now and then: a rotated token takes effect by itself."""
    while True:
        try:
            found = await client.find(SECRETS, secret.name, secret.namespace)
            text = ((found or {}).get("data") or {}).get(secret.key, "")
            access.token = base64.b64decode(text, validate=True).decode().strip() or None
        except (KubeError, ConfigError, binascii.Error, UnicodeDecodeError) as error:
            logger.warning("the access token in Secret %s/%s: %s", secret.namespace, secret.name, error)
        await asyncio.sleep(TOKEN_REFRESH_SECONDS if access.token else TOKEN_RETRY_SECONDS)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
