"""What the node needs of the API, as an interface: the pods' code knows this only, tests give a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Object = Mapping[str, Any]


class ClusterUnavailable(Exception):
    """The API did not answer or refused; trying again later may help. The message says what was asked."""


@dataclass(frozen=True, slots=True)
class Token:
    """A service account token and its end in Unix seconds."""

    text: str
    expires_at: float


class Cluster(Protocol):
    """The API as the node uses it. Reads are from memory; writes raise ClusterUnavailable."""

    def config_map(self, namespace: str, name: str) -> Object | None:
        """A ConfigMap, None when there is none."""

    def secret(self, namespace: str, name: str) -> Object | None:
        """A Secret, None when there is none."""

    async def request_token(self, pod: Object, audience: str, expiration_seconds: int) -> Token:
        """A token of the pod's service account, bound to the pod."""

    async def write_status(self, pod: Object, status: Mapping[str, Any]) -> None:
        """Replace the pod's status; nothing happens when the pod is gone."""

    async def confirm_deletion(self, pod: Object) -> None:
        """Remove the pod, now that nothing of it runs."""

    def record_event(self, about: Object, kind: str, reason: str, message: str, field_path: str = "") -> None:
        """Write an Event (`Normal` or `Warning`) soon; failures are logged only."""
