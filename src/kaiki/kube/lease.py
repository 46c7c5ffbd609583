"""Leader election on a Lease: of several equal processes, one does the writing.

The holder renews its Lease; when it has not done so for a Lease's duration, as measured by the waiting process's own
clock (clocks of machines differ), somebody else takes it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Conflict, KubeError, NotFound
from kaiki.kube.resource import LEASES, Object

logger = logging.getLogger(__name__)

DURATION_SECONDS = 15.0
RENEW_SECONDS = 10.0
RETRY_SECONDS = 2.0


class LeaderElection:
    """Runs something only while this process holds a Lease. `identity` must differ between the processes."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration_seconds: float = DURATION_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration_seconds = duration_seconds
        self._renew_seconds = renew_seconds
        self._retry_seconds = retry_seconds
        self._seen: tuple[object, float] = (None, 0.0)
        self.leading = False

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Waits for the Lease, then runs `work`; cancels it when the Lease is lost, and waits again.

        Returns when `work` does; gives the Lease back on the way out.
        """
        while True:
            if not await self._try_to_hold():
                await asyncio.sleep(self._retry_seconds)
                continue
            logger.info("leading %s/%s as %s", self._namespace, self._name, self._identity)
            self.leading = True
            task = asyncio.ensure_future(work())
            try:
                if await self._renew_while(task):
                    return
            finally:
                self.leading = False
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                with contextlib.suppress(KubeError):
                    await self._release()

    async def _renew_while(self, task: "asyncio.Future[None]") -> bool:
        """True when the work is done, False when the Lease is lost."""
        renewed = time.monotonic()
        wait_seconds = self._renew_seconds
        while True:
            done, _ = await asyncio.wait([task], timeout=wait_seconds)
            if done:
                task.result()
                return True
            if await self._try_to_hold():
                renewed, wait_seconds = time.monotonic(), self._renew_seconds
            elif time.monotonic() - renewed >= self._duration_seconds - self._retry_seconds:
                logger.warning("lost the lease %s/%s", self._namespace, self._name)
                return False
            else:
                wait_seconds = self._retry_seconds

    async def _try_to_hold(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
            if not self._may_take(lease):
                return False
            await self._client.update(self._held(lease), resource=LEASES)
        except NotFound:
            return await self._create()
        except Conflict:
            return False
        except KubeError as error:
            logger.info("lease: %s", error)
            return False
        return True

    async def _create(self) -> bool:
        metadata = {"name": self._name, "namespace": self._namespace}
        lease: Object = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": {}}
        try:
            await self._client.create(self._held(lease))
        except KubeError as error:
            logger.info("lease: %s", error)
            return False
        return True

    def _may_take(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") in (None, "", self._identity):
            return True
        mark = (spec.get("holderIdentity"), spec.get("renewTime"))
        if self._seen[0] != mark:
            self._seen = (mark, time.monotonic())
            return False
        duration_seconds = float(spec.get("leaseDurationSeconds") or self._duration_seconds)
        return time.monotonic() - self._seen[1] > duration_seconds

    def _held(self, lease: Object) -> Object:
        spec = dict(lease.get("spec") or {})
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration_seconds)),
            "renewTime": now,
        }
        return lease | {"spec": spec}

    async def _release(self) -> None:
        lease = await self._client.find(LEASES, self._name, self._namespace)
        if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
            lease["spec"]["holderIdentity"] = ""
            await self._client.update(lease, resource=LEASES)
