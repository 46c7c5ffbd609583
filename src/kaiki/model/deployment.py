"""Gateways that want pods of their own, before anybody has made them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewayDeployment:
    """What is to be deployed for one Gateway of the Gateway API: a ServiceAccount, a Service and a Deployment `name`.

    `ports` are (name, number) of the Service; `uid` is the Gateway's, which owns all three; `labels` and `annotations`
    are those the Gateway wants on them. An empty `service_type` means a load balancer. `addresses` and `hostnames` are
    those it asks for.
    """

    namespace: str
    gateway: str
    name: str
    uid: str
    class_name: str
    ports: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    service_type: str = ""
    addresses: tuple[str, ...] = ()
    hostnames: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/gateway`."""
        return f"{self.namespace}/{self.gateway}"
