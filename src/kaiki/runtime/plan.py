"""What to do next for a pod: (what is wanted, what is there, the time) → actions. Pure; the heart of the node.

    sandbox → volumes → init containers one by one (a sidecar counts once it has started) → containers
    deletion or completion: containers stop together, then the sidecars, last started first

The caller carries the actions out, records what happened in `PodState`, and asks again. An action that is under way is
recorded (`STARTING`, `stopping`), so that asking twice never does a thing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

Object = Mapping[str, Any]

BACKOFF_FIRST_SECONDS = 10.0
BACKOFF_LAST_SECONDS = 300.0
BACKOFF_RESET_SECONDS = 600.0


class Phase(Enum):
    """Where one container is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of a container ended. Times are Unix seconds."""

    exit_code: int
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container as it is. `due_at` (monotonic) is the earliest time of its next start."""

    phase: Phase = Phase.WAITING
    reason: str = "ContainerCreating"
    message: str = ""
    started_at: float = 0.0
    started: bool = False
    ready: bool = False
    stopping: bool = False
    restart_count: int = 0
    failures: int = 0
    due_at: float = 0.0
    ending: Ending | None = None
    last: Ending | None = None
    process_id: str = ""


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod as it is. `grace_seconds` is set when it is being deleted: what its containers get.

    `hidden_ports` are open on its loopback only, though others call them.
    Until `drain_until` (monotonic) a deleted pod goes on as before: who still sends to it has not heard yet.
    """

    containers: Mapping[str, ContainerState] = field(default_factory=dict)
    address: str = ""
    volumes_ready: bool = False
    sandbox_pending: bool = False
    volumes_pending: bool = False
    grace_seconds: float | None = None
    drain_until: float = 0.0
    failure: tuple[str, str] | None = None
    hidden_ports: tuple[int, ...] = ()

    def container(self, name: str) -> ContainerState:
        """The state of a container; that of a new one when nothing is known."""
        return self.containers.get(name) or ContainerState()

    def with_container(self, name: str, **changes: Any) -> PodState:
        """This state with some fields of one container changed."""
        changed = replace(self.container(name), **changes)
        return replace(self, containers={**self.containers, name: changed})


@dataclass(frozen=True, slots=True)
class MakeSandbox:
    """Make the network namespace."""


@dataclass(frozen=True, slots=True)
class PrepareVolumes:
    """Fill the volumes."""


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start one container."""

    name: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """End one container, giving it `grace_seconds` between SIGTERM and SIGKILL."""

    name: str
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Ask again at this monotonic time."""

    time: float


@dataclass(frozen=True, slots=True)
class Remove:
    """All has ended and the pod is to be deleted: take the sandbox down and confirm the deletion."""


Action: TypeAlias = MakeSandbox | PrepareVolumes | StartContainer | StopContainer | WakeAt | Remove


def is_sidecar(container: Object) -> bool:
    """Whether an init container is a native sidecar (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def init_containers(pod: Object) -> tuple[Object, ...]:
    """The pod's init containers in order."""
    return tuple((pod.get("spec") or {}).get("initContainers") or ())


def main_containers(pod: Object) -> tuple[Object, ...]:
    """The pod's regular containers."""
    return tuple((pod.get("spec") or {}).get("containers") or ())


def restart_policy(pod: Object) -> str:
    """`Always`, `OnFailure` or `Never`."""
    return str((pod.get("spec") or {}).get("restartPolicy") or "Always")


def backoff_seconds(failures: int) -> float:
    """How long to wait before a start after so many ends in a row: at once, then 10 s doubling up to five minutes."""
    if failures <= 1:
        return 0.0
    return min(BACKOFF_FIRST_SECONDS * 2.0 ** min(failures - 2, 10), BACKOFF_LAST_SECONDS)


def will_restart(policy: str, ending: Ending) -> bool:
    """Whether a container that ended so is started again."""
    return policy == "Always" or (policy == "OnFailure" and ending.exit_code != 0)


def plan(pod: Object, state: PodState, now: float) -> list[Action]:
    """The actions due now. `now` is monotonic seconds."""
    if state.grace_seconds is not None:
        if now < state.drain_until:
            return [WakeAt(state.drain_until)]
        return _shut_down(pod, state, state.grace_seconds, remove=True)
    if state.failure is not None or is_complete(pod, state):
        return _shut_down(pod, state, grace_seconds_of(pod), remove=False)
    if not state.address:
        return [] if state.sandbox_pending else [MakeSandbox()]
    if not state.volumes_ready:
        return [] if state.volumes_pending else [PrepareVolumes()]
    actions, initialized = _initialize(pod, state, now)
    if initialized:
        for container in main_containers(pod):
            actions += _keep_running(container["name"], state, restart_policy(pod), now)
    return actions


def grace_seconds_of(pod: Object) -> float:
    """`terminationGracePeriodSeconds`, 30 by default."""
    found = (pod.get("spec") or {}).get("terminationGracePeriodSeconds")
    return 30.0 if found is None else float(found)


def is_initialized(pod: Object, state: PodState) -> bool:
    """Whether all init containers are through and all sidecars have started."""
    return all(_is_through(container, state) for container in init_containers(pod))


def _is_through(container: Object, state: PodState) -> bool:
    found = state.container(container["name"])
    if is_sidecar(container):
        return found.started or found.restart_count > 0
    return found.ending is not None and found.ending.exit_code == 0 and found.phase is Phase.ENDED


def _initialize(pod: Object, state: PodState, now: float) -> tuple[list[Action], bool]:
    actions: list[Action] = []
    policy = "Always" if restart_policy(pod) == "Always" else restart_policy(pod)
    for container in init_containers(pod):
        through = _is_through(container, state)
        if is_sidecar(container):
            actions += _keep_running(container["name"], state, "Always", now)
        elif not through:
            # An init container must succeed once: `Always` only means that failing is not the end.
            actions += _keep_running(container["name"], state, "OnFailure" if policy == "Always" else policy, now)
        if not through:
            return actions, False
    return actions, True


def _keep_running(name: str, state: PodState, policy: str, now: float) -> list[Action]:
    found = state.container(name)
    if found.phase in (Phase.RUNNING, Phase.STARTING):
        return []
    if found.phase is Phase.ENDED and found.ending is not None and not will_restart(policy, found.ending):
        return []
    return [StartContainer(name)] if found.due_at <= now else [WakeAt(found.due_at)]


def is_complete(pod: Object, state: PodState) -> bool:
    """Whether nothing of the pod will run again: it has succeeded or failed for good."""
    policy = restart_policy(pod)
    if policy == "Never" and any(
        not is_sidecar(container) and _failed(state.container(container["name"])) for container in init_containers(pod)
    ):
        return True
    return bool(main_containers(pod)) and all(
        found.phase is Phase.ENDED and found.ending is not None and not will_restart(policy, found.ending)
        for found in (state.container(container["name"]) for container in main_containers(pod))
    )


def _failed(found: ContainerState) -> bool:
    return found.phase is Phase.ENDED and found.ending is not None and found.ending.exit_code != 0


def _alive(containers: Iterable[Object], state: PodState) -> list[tuple[str, ContainerState]]:
    found = [(container["name"], state.container(container["name"])) for container in containers]
    return [(name, one) for name, one in found if one.phase in (Phase.RUNNING, Phase.STARTING)]


def _shut_down(pod: Object, state: PodState, grace_seconds: float, remove: bool) -> list[Action]:
    ordinary = [container for container in init_containers(pod) if not is_sidecar(container)]
    sidecars = [container for container in init_containers(pod) if is_sidecar(container)]
    alive = _alive([*ordinary, *main_containers(pod)], state)
    if not alive:
        alive = _alive(reversed(sidecars), state)[:1]
    if alive:
        return [StopContainer(name, grace_seconds) for name, found in alive if not found.stopping]
    return [Remove()] if remove and not state.sandbox_pending else []
