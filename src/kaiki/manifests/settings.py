"""What an installation depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kaiki.model.identity import DEFAULT_TRUST_DOMAIN
from kaiki.model.proxy import Capture


class Platform(StrEnum):
    """Where the objects go: Kaiki's own API on one machine, or a real cluster."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"


class Profile(StrEnum):
    """How much is installed: everything; the control plane alone; or only what both need (namespace, CRDs, config).

    `demo` is everything, with what guides show beside it: an egress gateway, the ingress gateway's ports for TCP, and
    access logs.
    """

    DEFAULT = "default"
    DEMO = "demo"
    MINIMAL = "minimal"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """Login to the console by OpenID Connect; what each means is told by `kaiki console --help`.

    The Secret `secret_name` holds the client's secret under `client-secret`, and the provider's CA bundle under
    `ca_key`, where it needs one. Without its name the client is a public one.
    """

    issuer: str
    client_id: str
    secret_name: str = "kaiki-console-oidc"
    ca_key: str = ""
    scopes: tuple[str, ...] = ()
    username_claim: str = ""
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    groups: tuple[str, ...] = ()
    acts_by: str = "token"
    name: str = ""


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """How the console is reached and who may use it: `read_only` refuses every change."""

    read_only: bool = False
    external_url: str = ""
    session_hours: int = 0
    oidc: OidcOptions | None = None


@dataclass(frozen=True, slots=True)
class InstallSettings:
    """An installation's choices.

    `gateway_arguments` is Envoy's whole command line for the ingress gateway (its bootstrap included), made by the
    caller because manifests know nothing of Envoy's configuration. `definitions` are the CustomResourceDefinitions.
    `metrics_folder` is the host's folder for the metrics store; empty means one that lives as long as the pod.
    `metrics_url` is a Prometheus-compatible server of the user's that takes the place of the embedded store.
    `tracing_url` is a backend of the user's that the console asks for traces (Jaeger's query API).
    `access_log_file` and `outbound_traffic_policy` go into the mesh config as Istio names them; `mesh_config` is laid
    over it, and `values` (Istio's, `global.proxy` alone) stands beside it. `egress_arguments` is Envoy's command line
    for an egress gateway; without it there is none.
    """

    version: str
    platform: Platform
    console_token: str = field(repr=False)
    profile: Profile = Profile.DEFAULT
    gateway_arguments: tuple[str, ...] = ()
    definitions: tuple[Mapping[str, Any], ...] = ()
    metrics_folder: str = ""
    namespace: str = "istio-system"
    revision: str = "default"
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    cluster_name: str = "Kubernetes"
    image: str = ""
    proxy_image: str = "envoyproxy/envoy:v1.40.0"
    metrics_url: str = ""
    tracing_url: str = ""
    console: ConsoleOptions = field(default_factory=ConsoleOptions)
    access_log_file: str = ""
    outbound_traffic_policy: str = "ALLOW_ANY"
    mesh_config: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    egress_arguments: tuple[str, ...] = ()

    @property
    def kaiki_image(self) -> str:
        """The image of Kaiki's own parts: this version's, unless the installation names another."""
        return self.image or f"kaiki/kaiki:{self.version}"

    @property
    def capture(self) -> Capture:
        """How sidecars' own traffic is told apart: a mark needs a capability that clusters rarely give to pods."""
        return Capture.MARK if self.platform is Platform.LOCAL else Capture.UID
