"""The front door: all objects of the Gateway API → what they add to the snapshot, and the status of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kaiki.interpret.gateway_api import statuses
from kaiki.interpret.gateway_api.attachment import ListenersByOwner, Parent, World, parents_of
from kaiki.interpret.gateway_api.backend_tls import BackendTls, backend_tls, broken_ports, secured_hosts
from kaiki.interpret.gateway_api.backends import Backends, Origin, shares
from kaiki.interpret.gateway_api.client_certificates import client_certificate
from kaiki.interpret.gateway_api.deployments import Serving, serving, unready, unsupported, wanted_deployment
from kaiki.interpret.gateway_api.entrances import Attachments, entrance
from kaiki.interpret.gateway_api.filters import Entrance
from kaiki.interpret.gateway_api.frontend import Pems, frontend_references
from kaiki.interpret.gateway_api.grants import Grants
from kaiki.interpret.gateway_api.listeners import Listener, listeners_of
from kaiki.interpret.gateway_api.mesh_routes import MeshRoute, mesh_routes
from kaiki.interpret.gateway_api.objects import (
    CONTROLLER,
    GROUP,
    KUBERNETES_GATEWAY,
    ROUTE_KINDS,
    TRUST_BUNDLE,
    ByKind,
    Key,
    Object,
    Problem,
    Status,
    age,
    judged,
    reference,
)
from kaiki.interpret.gateway_api.rules import route_rules
from kaiki.interpret.gateway_api.selectors import from_namespaces
from kaiki.interpret.services import full_host
from kaiki.model.credential import Credentials
from kaiki.model.deployment import GatewayDeployment
from kaiki.model.finding import ObjectRef
from kaiki.model.gateway import Gateway
from kaiki.model.memo import Memo
from kaiki.model.route import NO_HEADER_CHANGES, VirtualService
from kaiki.model.service import Service
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.resources import core

ListenerKey = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class GatewayApi:
    """What the Gateway API's objects come to.

    `mesh` are VirtualServices of sidecars and come before Istio's. `statuses` are by (kind, namespace, name) as among
    the inputs. `config_maps` are those whose roots must be read, `deployments` the gateways that want
    pods.
    """

    gateways: tuple[Gateway, ...] = ()
    at_gateways: tuple[VirtualService, ...] = ()
    mesh: tuple[VirtualService, ...] = ()
    backend_tls: tuple[BackendTls, ...] = ()
    statuses: Mapping[Key, Status] = field(default_factory=dict)
    config_maps: frozenset[tuple[str, str]] = frozenset()
    deployments: tuple[GatewayDeployment, ...] = ()


NOTHING = GatewayApi()


def together(one: GatewayApi, other: GatewayApi) -> GatewayApi:
    """Both; Ingresses come to the same things."""
    if other is NOTHING:
        return one
    return replace(
        one,
        gateways=(*one.gateways, *other.gateways),
        at_gateways=(*one.at_gateways, *other.at_gateways),
        statuses={**one.statuses, **other.statuses},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """The rest of the mesh, as interpreted already."""

    services: Mapping[str, Service]
    workloads: Mapping[tuple[str, str], WorkloadInstance]
    credentials: Credentials
    namespaces: Mapping[str, Mapping[str, str]]
    entries: Mapping[str, ObjectRef] = field(default_factory=dict)


def gateway_api(by_kind: ByKind, mesh: Registered, memo: Memo) -> GatewayApi:
    """Interpret everything of the Gateway API. What has not changed stays the same object, by `memo`."""
    kinds = ("GatewayClass", KUBERNETES_GATEWAY, "ListenerSet", "BackendTLSPolicy", *ROUTE_KINDS)
    if not any(by_kind.get(kind) for kind in kinds):
        return NOTHING
    # A status says whether a Gateway's pods are ready; what other pods do is nothing to it.
    pods = memo.keep("gateway pods", memo.get(_gateway_pods, mesh.workloads))
    objects = {kind: by_kind.get(kind, ()) for kind in (*kinds, "ReferenceGrant", "Service", TRUST_BUNDLE)}
    return memo.depends(
        "gateway api",
        lambda: _interpreted(by_kind, replace(mesh, workloads=pods), memo.part("gateway api")),
        *objects.values(),
        mesh.services,
        pods,
        mesh.credentials,
        mesh.namespaces,
        mesh.entries,
    )


def _gateway_pods(workloads: Mapping[tuple[str, str], WorkloadInstance]) -> dict[tuple[str, str], WorkloadInstance]:
    return {key: item for key, item in workloads.items() if item.proxy is ProxyKind.GATEWAY}


def _interpreted(by_kind: ByKind, mesh: Registered, memo: Memo) -> GatewayApi:
    memo.enter(object())
    found = _Interpreter(by_kind, mesh).run()
    return GatewayApi(
        gateways=tuple(memo.keep(("gateway", item.source), item) for item in found.gateways),
        at_gateways=tuple(memo.keep(("at gateway", item.gateways, item.hosts), item) for item in found.at_gateways),
        mesh=tuple(memo.keep(("mesh", item.hosts, item.export_to), item) for item in found.mesh),
        backend_tls=found.backend_tls,
        statuses=found.statuses,
        config_maps=found.config_maps,
        deployments=found.deployments,
    )


class _Interpreter:
    """One interpretation, put together step by step."""

    def __init__(self, by_kind: ByKind, mesh: Registered) -> None:
        self._by_kind = by_kind
        self._mesh = mesh
        self._grants = Grants(by_kind.get("ReferenceGrant", ()))
        self._pems: Pems = {key: _pem(obj) for key, obj in _named(by_kind.get(TRUST_BUNDLE, ())).items()}
        self._services = _named(by_kind.get("Service", ()))
        classes = by_kind.get("GatewayClass", ())
        self._classes = {core.name(obj): obj for obj in classes if core.spec(obj).get("controllerName") == CONTROLLER}
        self._listeners: dict[tuple[str, str, str], list[Listener]] = {}
        self._attachments: dict[int, Attachments] = defaultdict(Attachments)
        self._callers: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._mesh_routes: list[MeshRoute] = []
        self._sets: dict[tuple[str, str], list[tuple[Object, Problem | None]]] = defaultdict(list)
        self._statuses: dict[Key, Status] = {}

    def run(self) -> GatewayApi:
        gateways = [obj for obj in self._by_kind.get(KUBERNETES_GATEWAY, ()) if self._is_ours(obj)]
        for obj in self._classes.values():
            self._statuses["GatewayClass", "", core.name(obj)] = statuses.class_status(obj)
        self._find_sets(gateways)
        for gateway in gateways:
            self._read_listeners(gateway)
        policies = backend_tls(self._by_kind.get("BackendTLSPolicy", ()), self._mesh.services, self._pems)
        broken = broken_ports(policies, self._mesh.services)
        backends = Backends(self._mesh.services, self._grants, broken, secured_hosts(policies))
        world = World(self._owned_listeners(), self._mesh.services, self._mesh.namespaces, self._mesh.entries)
        for kind in ROUTE_KINDS:
            for route in self._by_kind.get(kind, ()):
                self._attach(kind, route, world, backends)
        made, routes = self._entrances(gateways, backends)
        for item in policies:
            callers = {caller for host in item.hosts for caller in self._callers.get(host, ())}
            key = "BackendTLSPolicy", core.namespace(item.policy), core.name(item.policy)
            self._statuses[key] = statuses.policy_status(item, callers)
        return GatewayApi(
            gateways=tuple(made),
            at_gateways=tuple(routes),
            mesh=tuple(mesh_routes(self._mesh_routes, backends)),
            backend_tls=tuple(policies),
            statuses=self._statuses,
            config_maps=self._wanted_config_maps(gateways),
            deployments=tuple(self._deployments(gateways)),
        )

    def _is_ours(self, gateway: Object) -> bool:
        return str(core.spec(gateway).get("gatewayClassName")) in self._classes

    def _find_sets(self, gateways: Iterable[Object]) -> None:
        """Which ListenerSets attach to which Gateway, the oldest first."""
        known = {(core.namespace(obj), core.name(obj)): obj for obj in gateways}
        for obj in sorted(self._by_kind.get("ListenerSet", ()), key=age):
            target = reference(core.spec(obj).get("parentRef") or {}, core.namespace(obj), GROUP, "Gateway")
            gateway = known.get((target.namespace, target.name))
            if gateway is None or (target.group, target.kind) != (GROUP, "Gateway"):
                continue
            allowed = (core.spec(gateway).get("allowedListeners") or {}).get("namespaces") or {}
            space = core.namespace(obj)
            labels = self._mesh.namespaces.get(space, {})
            problem = None
            if not from_namespaces(allowed, "None", core.namespace(gateway), space, labels):
                message = f"the Gateway lets no ListenerSets of namespace {space} in (allowedListeners)."
                problem = Problem("NotAllowed", message)
            self._sets[target.namespace, target.name].append((obj, problem))

    def _read_listeners(self, gateway: Object) -> None:
        key = core.namespace(gateway), core.name(gateway)
        sets = [obj for obj, problem in self._sets.get(key, ()) if problem is None]
        found = listeners_of(gateway, sets, self._grants, self._mesh.credentials, self._pems)
        self._listeners[(KUBERNETES_GATEWAY, *key)] = found

    def _owned_listeners(self) -> ListenersByOwner:
        """Listeners by the object that a parentRef names."""
        owned: dict[tuple[str, str, str], list[Listener]] = {key: [] for key in self._listeners}
        for items in self._listeners.values():
            for item in items:
                key = item.owner_kind, core.namespace(item.owner), core.name(item.owner)
                owned.setdefault(key, []).append(item)
        return owned

    def _attach(self, kind: str, route: Object, world: World, backends: Backends) -> None:
        parents = parents_of(kind, route, world)
        if not parents:
            return
        unresolved, unsupported = _problems(kind, route, backends)
        key = kind, core.namespace(route), core.name(route)
        for parent in parents:
            for listener, hosts in parent.listeners:
                self._attachments[id(listener)].routes.append((kind, route, hosts))
                self._note_callers(listener, route)
                if unsupported is None:
                    listener.attached.add(key)
            self._mesh_routes += [MeshRoute(kind, route, service) for service in parent.services]
        self._statuses[key] = statuses.route_status(route, _unique(parents), unresolved, unsupported)

    def _note_callers(self, listener: Listener, route: Object) -> None:
        gateway = core.namespace(listener.gateway), core.name(listener.gateway)
        for rule in core.spec(route).get("rules") or ():
            for ref in rule.get("backendRefs") or ():
                target = reference(ref, core.namespace(route), "", "Service")
                self._callers[full_host(target.name, target.namespace)].add(gateway)

    def _entrances(self, gateways: Iterable[Object], backends: Backends) -> tuple[list[Gateway], list[VirtualService]]:
        made: list[Gateway] = []
        routes: list[VirtualService] = []
        for gateway in sorted(gateways, key=age):
            key = core.namespace(gateway), core.name(gateway)
            listeners = self._listeners[(KUBERNETES_GATEWAY, *key)]
            found = serving(gateway, self._services)
            refused = unsupported(gateway)
            self._say(gateway, listeners, found, refused)
            shown = client_certificate(gateway, self._grants, self._mesh.credentials)
            for item in listeners if refused is None else ():
                if item.in_force:
                    one, more = entrance(item, listeners, self._attachments[id(item)], found.pods, backends)
                    made += [replace(each, client_credential=shown.secret) for each in one] if shown else one
                    routes += more
        return made, routes

    def _say(self, gateway: Object, listeners: list[Listener], found: Serving, refused: Problem | None) -> None:
        key = core.namespace(gateway), core.name(gateway)
        addresses = statuses.addresses_of(found.service)
        waiting = unready(found, len(addresses), self._mesh.workloads.values())
        sets = self._sets.get(key, [])
        accepted = 0
        for obj, problem in sets:
            status = statuses.set_status(obj, listeners, problem, waiting)
            accepted += status["conditions"][0]["status"] == "True"
            self._statuses["ListenerSet", core.namespace(obj), core.name(obj)] = status
        status = statuses.gateway_status(gateway, listeners, addresses, waiting, refused, accepted)
        shown = client_certificate(gateway, self._grants, self._mesh.credentials)
        if shown is not None:
            status["conditions"].append(judged(gateway, "ResolvedRefs", shown.problem))
        self._statuses[(KUBERNETES_GATEWAY, *key)] = status

    def _deployments(self, gateways: Iterable[Object]) -> Iterator[GatewayDeployment]:
        for gateway in sorted(gateways, key=age):
            listeners = self._listeners[KUBERNETES_GATEWAY, core.namespace(gateway), core.name(gateway)]
            wanted = wanted_deployment(gateway, listeners)
            if wanted is not None and unsupported(gateway) is None:
                yield wanted

    def _wanted_config_maps(self, gateways: Iterable[Object]) -> frozenset[tuple[str, str]]:
        wanted = {(ref.namespace, ref.name) for gateway in gateways for ref in frontend_references(gateway)}
        for policy in self._by_kind.get("BackendTLSPolicy", ()):
            for ref in (core.spec(policy).get("validation") or {}).get("caCertificateRefs") or ():
                if ref.get("kind") == "ConfigMap":
                    wanted.add((core.namespace(policy), str(ref.get("name"))))
        return frozenset(wanted)


def _problems(kind: str, route: Object, backends: Backends) -> tuple[Problem | None, Problem | None]:
    """What is wrong with a route itself, wherever it is attached."""
    if kind in ("HTTPRoute", "GRPCRoute"):
        found = route_rules(kind, route, backends, Entrance())
        return found.unresolved, found.unsupported
    origin = Origin(kind, core.namespace(route))
    for rule in core.spec(route).get("rules") or ():
        refs = [(ref, NO_HEADER_CHANGES, NO_HEADER_CHANGES) for ref in rule.get("backendRefs") or ()]
        if problems := shares(refs, origin, backends).problems:
            return problems[0], None
    return None, None


def _unique(parents: Iterable[Parent]) -> list[Parent]:
    """Each parentRef once: the API takes no two answers for one."""
    found: dict[str, Parent] = {}
    for parent in parents:
        found.setdefault(repr(sorted(parent.ref.items())), parent)
    return list(found.values())


def _named(objects: Iterable[Object]) -> dict[tuple[str, str], Object]:
    return {(core.namespace(obj), core.name(obj)): obj for obj in objects}


def _pem(config_map: Object) -> bytes:
    text = str((config_map.get("data") or {}).get("ca.crt") or "")
    return text.encode() if "-----BEGIN CERTIFICATE-----" in text else b""
