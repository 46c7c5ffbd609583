"""The embedded API server, and a client to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings
from kaiki.kube.client import KubeClient
from kaiki.kube.config import read_kubeconfig


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with ApiServer(ApiServerSettings(tmp_path, listen_addresses=(("127.0.0.1", 0),))) as server:
        url = f"https://127.0.0.1:{server.ports[0]}"
        async with KubeClient(read_kubeconfig(credentials.write_kubeconfig(tmp_path, url))) as kube:
            yield kube
