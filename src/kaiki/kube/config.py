"""Where the API server is and how to prove who we are.

Three sources, in this order: a kubeconfig named by the caller, the one(s) named by KUBECONFIG (or the default place),
and the service account files that Kubernetes mounts into every pod.
"""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """There is no usable way to reach an API server; the message says what was looked at and what to do."""


@dataclass(frozen=True, slots=True)
class Impersonated:
    """Somebody to act as, by an identity that may impersonate them."""

    user: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KubeConfig:
    """One API server and one identity. `ca_data`, `client_cert` and `client_key` are PEM texts."""

    server: str
    ca_data: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    client_cert: str | None = None
    client_key: str | None = field(default=None, repr=False)
    insecure: bool = False
    tls_server_name: str | None = None
    namespace: str = "default"
    command: "CredentialCommand | None" = None
    impersonated: Impersonated | None = None

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS settings for `server`; None when it is plain http."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cadata=self.ca_data)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert and self.client_key:
            _load_client_certificate(context, self.client_cert, self.client_key)
        return context


@dataclass(frozen=True, slots=True)
class CredentialCommand:
    """A credential plug-in of a kubeconfig (`users[].user.exec`): prints an ExecCredential with a token."""

    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    api_version: str


def load_config(path: Path | None = None, context: str | None = None) -> KubeConfig:
    """Finds the API server: `path`, else KUBECONFIG, else the pod's service account, else ~/.kube/config.

    Raises ConfigError when none of them is there or the file does not name a cluster.
    """
    if path is not None:
        return read_kubeconfig(path, context)
    for candidate in (part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part):
        if Path(candidate).expanduser().is_file():
            return read_kubeconfig(Path(candidate).expanduser(), context)
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster_config(os.environ)
    default = Path("~/.kube/config").expanduser()
    if default.is_file():
        return read_kubeconfig(default, context)
    raise ConfigError("no Kubernetes API found: pass --kubeconfig, set KUBECONFIG, or start one with `kaiki up`")


def in_cluster_config(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT_FOLDER) -> KubeConfig:
    """The API server as a pod sees it. The token is read from its file at every use, as Kubernetes renews it."""
    host = environment["KUBERNETES_SERVICE_HOST"]
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    token_file, ca_file, namespace_file = folder / "token", folder / "ca.crt", folder / "namespace"
    if not token_file.is_file():
        raise ConfigError(f"{token_file} is missing: does the pod set automountServiceAccountToken: false?")
    return KubeConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca_data=ca_file.read_text() if ca_file.is_file() else None,
        token_file=token_file,
        namespace=namespace_file.read_text().strip() if namespace_file.is_file() else "default",
    )


def read_kubeconfig(path: Path, context: str | None = None) -> KubeConfig:
    """Reads one kubeconfig file; relative file names in it are relative to its folder, as kubectl has it."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"kubeconfig {path} cannot be read: {error}") from error
    wanted = context or document.get("current-context")
    chosen = _entry(document, "contexts", "context", wanted, path)
    cluster = _entry(document, "clusters", "cluster", chosen.get("cluster"), path)
    user = _entry(document, "users", "user", chosen.get("user"), path) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise ConfigError(f"kubeconfig {path}: cluster {chosen.get('cluster')!r} has no server")
    token_file = user.get("tokenFile")
    return KubeConfig(
        server=str(cluster["server"]).rstrip("/"),
        ca_data=_pem(cluster, "certificate-authority", path),
        token=user.get("token"),
        token_file=path.parent / token_file if token_file else None,
        client_cert=_pem(user, "client-certificate", path),
        client_key=_pem(user, "client-key", path),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name"),
        namespace=chosen.get("namespace") or "default",
        command=_credential_command(user.get("exec")),
    )


def _entry(document: Any, plural: str, singular: str, name: object, path: Path) -> dict[str, Any]:
    for entry in document.get(plural) or []:
        if entry.get("name") == name:
            return dict(entry.get(singular) or {})
    raise ConfigError(f"kubeconfig {path}: no entry named {name!r} under {plural}")


def _pem(entry: Mapping[str, Any], key: str, path: Path) -> str | None:
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(str(data)).decode()
    if name := entry.get(key):
        return (path.parent / str(name)).read_text()
    return None


def _credential_command(entry: Mapping[str, Any] | None) -> CredentialCommand | None:
    if not entry:
        return None
    environment = tuple((item["name"], item["value"]) for item in entry.get("env") or [])
    arguments = (str(entry["command"]), *map(str, entry.get("args") or []))
    return CredentialCommand(arguments, environment, str(entry.get("apiVersion") or "client.authentication.k8s.io/v1"))


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """The ssl module takes only files; this one is private and gone at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate.rstrip() + "\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
