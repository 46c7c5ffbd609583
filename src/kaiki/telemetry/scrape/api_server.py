"""The embedded API's own metrics, as one more target: it wants credentials, which the Kubernetes client has.

A cluster's API server is left alone: its answer has more series than the mesh, and the cluster's own Prometheus has
them.
"""

from __future__ import annotations

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.telemetry.errors import ScrapeError
from kaiki.telemetry.scrape.scraper import Scraper
from kaiki.telemetry.scrape.targets import Target

JOB = "kubernetes-apiservers"
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
