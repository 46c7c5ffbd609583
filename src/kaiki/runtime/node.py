"""What all pods of this node share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaiki.runtime.cluster import Cluster
from kaiki.runtime.image_store import ImageStore
from kaiki.runtime.images import ImageMap, program_script
from kaiki.runtime.measurements import Measurements
from kaiki.runtime.processes import ProcessKeeper
from kaiki.runtime.sandbox import Network

NODE_NAME = "kaiki"
API_ADDRESS = ("10.96.0.1", 443)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Node:
    """The parts a pod is made with. `user` is the (uid, gid) of applications that name none; `ready_pods` are the uids
    of the pods that traffic is sent to at the moment; `target_ports` the ports it is sent to, by pod address."""

    home: Path
    sandbox_folder: Path
    cluster: Cluster
    network: Network
    processes: ProcessKeeper
    images: ImageMap
    store: ImageStore
    environment: Mapping[str, str]
    machine: Mapping[str, str]
    user: tuple[int, int]
    ready_pods: set[str] = field(default_factory=set)
    target_ports: dict[str, frozenset[int]] = field(default_factory=dict)
    measurements: Measurements = field(default_factory=Measurements)

    def log_path(self, pod: Mapping[str, Any], container: str, restart: int) -> Path:
        """Where a run's output goes."""
        metadata = pod["metadata"]
        folder = f"{metadata.get('namespace', 'default')}_{metadata['name']}_{metadata['uid']}"
        return self.home / "logs" / folder / container / f"{restart}.log"

    def programs_folder(self, programs: Mapping[str, tuple[str, ...]]) -> Path:
        """A folder with an image's programs as scripts; written once for all containers that have the same."""
        texts = {name: program_script(command) for name, command in programs.items()}
        digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16]
        folder = self.sandbox_folder / "programs" / digest
        for name, text in texts.items():
            path = folder / name
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                path.chmod(0o755)
        return folder

    def layers_folder(self, pod: Mapping[str, Any]) -> Path:
        """Where what containers of real images write is kept while their pod lives."""
        return self.home / "containers" / str(pod["metadata"]["uid"])

    def pod_folder(self, pod: Mapping[str, Any]) -> Path:
        """Where a pod's files are while it lives: on a tmpfs of the node's own."""
        return self.sandbox_folder / "pods" / str(pod["metadata"]["uid"])


def container_environment() -> dict[str, str]:
    """The variables every container starts with: few, as from an image, but those that find this machine's programs."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    fixed = {"KUBERNETES_SERVICE_HOST": API_ADDRESS[0], "KUBERNETES_SERVICE_PORT": str(API_ADDRESS[1])}
    more = {"KUBERNETES_SERVICE_PORT_HTTPS": str(API_ADDRESS[1]), "KUBERNETES_PORT": "tcp://10.96.0.1:443"}
    return {"PATH": _DEFAULT_PATH, "HOME": "/"} | inherited | fixed | more


def machine_resources() -> dict[str, str]:
    """What a container without limits is told it may use."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": str(os.cpu_count() or 1), "memory": str(memory), "ephemeral-storage": "0"}
