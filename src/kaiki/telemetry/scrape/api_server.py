"""The embedded API's own metrics, and its node's, as more targets: the API wants credentials, which the client has.

A cluster's API server is left alone: its answer has more series than the mesh, and the cluster's own Prometheus has
them.
"""

from __future__ import annotations

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import NODES
from kaiki.telemetry.errors import ScrapeError
from kaiki.telemetry.scrape.scraper import Scraper
from kaiki.telemetry.scrape.targets import Target

JOB = "kubernetes-apiservers"
NODE_JOB = "kubernetes-nodes"
_PATH = "/metrics"


async def scrape_own_api(client: KubeClient, scraper: Scraper, server: str) -> bool:
    """Add the API behind `client` to the targets if it is Kaiki's; whether it is. Raises KubeError."""
    version = await client.request("GET", "/version", call="ask for the version")
    if "kaiki" not in str(version.get("gitVersion")):
        return False
    url = f"{server.rstrip('/')}{_PATH}"

    async def read() -> str:
        try:
            return await client.read_text(_PATH, scraper.settings.timeout_seconds)
        except KubeError as error:
            raise ScrapeError(str(error)) from error

    scraper.readers[url] = read
    instance = server.rpartition("//")[2].rstrip("/")
    labels = (("component", "apiserver"), ("instance", instance), ("job", JOB), ("provider", "kubernetes"))
    scraper.set_target(Target(key="apiserver", url=url, labels=labels))
    return True


async def scrape_own_nodes(client: KubeClient, scraper: Scraper) -> bool:
    """Add the runtime behind each of Kaiki's nodes; whether there is one yet. Raises KubeError."""
    found = False
    for node in await client.list(NODES):
        status = node.get("status") or {}
        addresses = {one.get("type"): one.get("address") for one in status.get("addresses") or ()}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        if "kaiki" not in str((status.get("nodeInfo") or {}).get("kubeletVersion")) or not port:
            continue
        name, instance = str(node["metadata"]["name"]), f"{addresses.get('InternalIP')}:{port}"
        labels = (("component", "runtime"), ("instance", instance), ("job", NODE_JOB), ("node", name))
        scraper.set_target(Target(key=f"node {name}", url=f"http://{instance}{_PATH}", labels=labels))
        found = True
    return found
