"""Where an instance keeps its things: `KAIKI_HOME`, and the files below it by their names."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import kaiki

# sun_path holds 108 bytes with its terminating zero (unix(7)); 104 on macOS.
SOCKET_PATH_LIMIT_BYTES = 107 if sys.platform == "linux" else 103


class HomeError(Exception):
    """The home cannot be used; the text names the path, the cause and the way out."""


@dataclass(frozen=True, slots=True)
class Home:
    """One instance's folder. Several instances run side by side, each with a home of its own."""

    path: Path

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def state(self) -> Path:
        """What the launcher says of itself while it runs: process id and loopback addresses."""
        return self.run / "state.json"

    @property
    def api_url(self) -> Path:
        """The Kubernetes API's address on the loopback, as the kubeconfig has it."""
        return self.run / "api.url"

    @property
    def node_socket(self) -> Path:
        """The node's own HTTP: container logs, asked for by the API server."""
        return self.run / "node.sock"

    @property
    def node_log(self) -> Path:
        return self.path / "logs" / "node.log"

    @property
    def user_images(self) -> Path:
        return self.path / "images.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    @property
    def console_token(self) -> Path:
        return self.path / "pki" / "console.token"

    @property
    def console_options(self) -> Path:
        """Who may use the console, as `kaiki install` was told last."""
        return self.path / "console.json"

    def prepare(self) -> None:
        """Create the folders, readable by their owner only; raises HomeError where that is refused."""
        if len(os.fsencode(self.node_socket)) > SOCKET_PATH_LIMIT_BYTES:
            raise HomeError(
                f"KAIKI_HOME {self.path}: the path is too long for the unix sockets below it "
                f"(at most {SOCKET_PATH_LIMIT_BYTES - len('/run/node.sock')} bytes). Set KAIKI_HOME to a shorter one."
            )
        try:
            for folder in (self.path, self.run, self.path / "logs", self.path / "pki", self.metrics):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.run / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise HomeError(
                f"KAIKI_HOME {self.path}: cannot write there ({error.strerror}). "
                "Set KAIKI_HOME to a folder of yours, for example: export KAIKI_HOME=$HOME/.kaiki"
            ) from error


def current_home() -> Home:
    """The home named by KAIKI_HOME, else ~/.kaiki."""
    named = os.environ.get("KAIKI_HOME")
    return Home(Path(named).expanduser().absolute() if named else Path.home() / ".kaiki")


def samples_path() -> Path:
    """The samples' folder: inside the installed package, else in the checkout."""
    package = Path(kaiki.__file__).resolve().parent
    installed = package / "samples"
    return installed if installed.is_dir() else package.parent.parent / "samples"
