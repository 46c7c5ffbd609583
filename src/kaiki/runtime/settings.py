"""What a node is told when it is started, and how it is passed on to the process inside."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Forward(msgspec.Struct, frozen=True):
    """A loopback port of the host for a Service of any type. `name` is what `state.json` calls it."""

    name: str
    namespace: str
    service: str
    port: int
    preferred_loopback_port: int = 0
    scheme: str = "http"


class NodeSettings(msgspec.Struct, frozen=True):
    """Everything `run_node` needs.

    `apiserver_arguments` is the command line of the API server, run inside; `api_descriptors` are listening sockets it
    inherits under the same numbers. `kubeconfig` says how to reach it (the server's address is replaced by `api_url`).
    `name_server` is `module:function`, a `StartNameServer` (see `agent.py`); empty for none.
    `user` is the (uid, gid) of applications whose pod names none; None for the launcher's, or 1000 for root.
    `image_maps` are asked in order, before the built-in one; the user's is the first. `engines` are the programs
    outside that can fetch images.
    """

    home: Path
    python: str
    kubeconfig: Path | None = None
    api_url: str = "https://10.97.0.1:6443"
    apiserver_arguments: tuple[str, ...] = ()
    api_descriptors: tuple[int, ...] = ()
    image_maps: tuple[Path, ...] = ()
    image_places: dict[str, str] = msgspec.field(default_factory=dict)
    forwards: tuple[Forward, ...] = ()
    name_server: str = ""
    supervisor_arguments: tuple[str, ...] = ()
    user: tuple[int, int] | None = None
    engines: tuple[str, ...] = ()
    stop_timeout_seconds: float = 40.0

    @property
    def run_folder(self) -> Path:
        """Sockets and `state.json`."""
        return self.home / "run"

    @property
    def sandbox_folder(self) -> Path:
        """Where the process inside mounts its own tmpfs."""
        return self.home / "run" / "sandbox"


def encode_settings(settings: NodeSettings) -> str:
    """As text, for an environment variable."""
    return msgspec.json.encode(settings, enc_hook=str).decode()


def decode_settings(text: str) -> NodeSettings:
    """Back from `encode_settings`."""
    return msgspec.json.decode(text, type=NodeSettings, dec_hook=lambda kind, value: kind(value))
