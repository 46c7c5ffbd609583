"""What a console is told at start; nothing here is read from the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kaiki.console.oidc.settings import OidcSettings
from kaiki.kube.config import KubeConfig

KUBE_ANSWER_SECONDS = 10.0
"""How long the Kubernetes API may take to answer: a page that waits longer tells nothing."""

# Names this console is reached by. A page of any other site resolves its own name to us (DNS rebinding), not these.
DEFAULT_ALLOWED_HOSTS = (
    "127.0.0.1",
    "localhost",
    "[::1]",
    "kiali",
    "kiali.istio-system",
    "kiali.istio-system.svc",
    "kiali.istio-system.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """Where the access token is kept in the Kubernetes API."""

    namespace: str = "istio-system"
    name: str = "kaiki-console"
    key: str = "token"


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Everything a console needs.

    `token` wins over `token_secret`, which is read from the Kubernetes API and read again now and then, so that a
    rotated token takes effect. `kube` None means that no Kubernetes API is used: the graph then shows what the series
    alone tell.
    `external_url` is the address people use, when something before the console ends TLS there or gives it a name.
    `oidc` lets people log in with their accounts.
    `read_only` refuses every change, whoever asks for it.
    `rate_window_seconds` is the least window of plotted rates: at least two scrapes must fall into it.
    """

    listen: tuple[str, int] = ("0.0.0.0", 20001)
    metrics_url: str = "http://prometheus.istio-system:9090"
    tracing_url: str = "http://tracing.istio-system/jaeger"
    control_plane_url: str = "http://istiod.istio-system:15014"
    token: str | None = field(default=None, repr=False)
    token_secret: TokenSecret | None = TokenSecret()
    kube: KubeConfig | None = None
    allowed_hosts: tuple[str, ...] = DEFAULT_ALLOWED_HOSTS
    metrics_timeout_seconds: float = 10.0
    external_url: str = ""
    oidc: OidcSettings | None = None
    read_only: bool = False
    rate_window_seconds: int = 30
    session_seconds: int = 12 * 3600
    login_code_seconds: float = 60.0

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name the console answers to."""
        outside = urlsplit(self.external_url).hostname
        return (*self.allowed_hosts, *((f"[{outside}]" if ":" in outside else outside,) if outside else ()))
