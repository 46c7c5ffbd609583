"""Reads the Secrets that Gateways and DestinationRules name, and no others: each by a watch on its name.

Keys stay in this process's memory, on their way to gateways; interpretation is told only whether a Secret can be used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kaiki.interpret.credentials import (
    CREDENTIAL,
    credential_input,
    shared_credentials,
    sidecar_credentials,
    wanted_credentials,
)
from kaiki.interpret.interpretation import Interpretation
from kaiki.kube.cache import Cache, CacheEvent, drop_managed_fields
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import SECRETS, SUBJECT_ACCESS_REVIEWS
from kaiki.model.credential import roots_names
from kaiki.resources.credential import ABSENT, Material, material_of

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
"""How long a snapshot waits for Secrets it has just begun to need: a gateway should not lose a server for a restart of
the control plane, nor all changes for one Secret that cannot be read."""

RECHECK_SECONDS = 3.0
"""How often it is asked again whether a service account may read, while one may not."""

Name = tuple[str, str]
Reader = tuple[str, str, str]
"""Namespace and name of a Secret, and a service account of the namespace."""
_UNREADABLE = Material(pair_problem="it cannot be read", roots_problem="it cannot be read")


class CredentialReader:
    """The Secrets in use, by (namespace, name). `changed` is called when what is known of one has changed."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._caches: dict[Name, Cache] = {}
        self._tasks: dict[Name, asyncio.Task[None]] = {}
        self._materials: dict[Name, Material] = {}
        self._inputs: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        self._shared: frozenset[tuple[str, str, str]] = frozenset()
        self._readers: dict[Reader, bool] = {}
        self._recheck: asyncio.TimerHandle | None = None
        self.changed: Callable[[], None] = lambda: None

    def inputs(self) -> Mapping[tuple[str, str, str], Mapping[str, Any]]:
        """What interpretation is to know; an entry that did not change is the same object."""
        return self._inputs

    async def follow(self, interpretation: Interpretation) -> bool:
        """Read what Gateways need now, and forget the rest. True if `inputs` changed meanwhile."""
        wanted, before = wanted_credentials(interpretation.snapshot), dict(self._inputs)
        self._shared = shared_credentials(interpretation.snapshot)
        await self._ask_for_readers(sidecar_credentials(interpretation.snapshot))
        for name in self._caches.keys() - wanted:
            await self._forget(name)
        new = [self._begin(name) for name in sorted(wanted - self._caches.keys())]
        if new:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await asyncio.gather(*(cache.synced.wait() for cache in new))
            except TimeoutError:
                logger.warning("not all Secrets that Gateways name could be read; their servers wait")
        for name in wanted:
            if name not in self._materials:
                self._take(name, ABSENT if self._caches[name].synced.is_set() else _UNREADABLE)
            else:
                self._take(name, self._materials[name])
        return self._inputs != before

    async def _ask_for_readers(self, wanted: frozenset[Reader]) -> None:
        """Find out which service accounts may list Secrets of their namespace; who may not is asked for again soon."""
        self._readers = {reader: allowed for reader, allowed in self._readers.items() if reader in wanted}
        for reader in sorted(wanted - self._readers.keys()):
            self._readers[reader] = await self._may_list(reader[0], reader[2])
        if not all(self._readers.values()) and self._recheck is None:
            self._recheck = asyncio.get_running_loop().call_later(RECHECK_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        self._recheck = None
        self._readers = {reader: True for reader, allowed in self._readers.items() if allowed}
        self.changed()

    async def _may_list(self, namespace: str, account: str) -> bool:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "groups": groups,
                "resourceAttributes": {"namespace": namespace, "verb": "list", "resource": "secrets"},
            },
        }
        try:
            call = f"ask whether {namespace}/{account} may list Secrets"
            found = await self._client.request("POST", SUBJECT_ACCESS_REVIEWS.path(), body=review, call=call)
        except KubeError as error:
            logger.warning("cannot find out whether %s/%s may list Secrets: %s", namespace, account, error)
            return False
        return bool((found.get("status") or {}).get("allowed"))

    def _begin(self, name: Name) -> Cache:
        cache = Cache(
            self._client,
            SECRETS,
            namespace=name[0],
            field_selector=f"metadata.name={name[1]}",
            trim=drop_managed_fields,
        )
        cache.subscribe(lambda event: self._listen(name, event))
        self._caches[name] = cache
        self._tasks[name] = asyncio.create_task(cache.run(), name=f"secret {name[0]}/{name[1]}")
        return cache

    def _listen(self, name: Name, event: CacheEvent) -> None:
        if self._take(name, ABSENT if event.new is None else material_of(event.new)):
            self.changed()

    def _take(self, name: Name, material: Material) -> bool:
        allowed = [allowed for reader, allowed in self._readers.items() if reader[:2] == name]
        said = credential_input(*name, material, for_sidecars=bool(allowed) and all(allowed))
        changed = self._materials.get(name) != material or self._inputs.get((CREDENTIAL, *name)) != said
        if changed:
            self._materials[name] = material
            self._inputs[CREDENTIAL, *name] = said
        return changed

    async def _forget(self, name: Name) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for known in (self._caches, self._materials):
            known.pop(name, None)
        self._inputs.pop((CREDENTIAL, *name), None)

    async def close(self) -> None:
        """Stop reading."""
        if self._recheck is not None:
            self._recheck.cancel()
        for name in list(self._caches):
            await self._forget(name)

    # What gateways are sent

    def pair(self, namespace: str, name: str) -> tuple[bytes, bytes] | None:
        """The certificates and the key of a Secret, PEM; None unless a Gateway names it and it can be used."""
        material = self._materials.get((namespace, name), ABSENT)
        return None if material.pair_problem else (material.certificates, material.key)

    def is_shared(self, namespace: str, name: str, reader: str) -> bool:
        """Whether a Gateway with pods in namespace `reader` may use a Secret of `namespace`."""
        return (namespace, name, reader) in self._shared

    def may_read(self, namespace: str, name: str, service_account: str) -> bool:
        """Whether sidecars of a service account are given a Secret of their namespace."""
        return self._readers.get((namespace, name, service_account), False)

    def roots(self, namespace: str, name: str) -> bytes | None:
        """The roots for a credential's clients, PEM: of the Secret beside it, or its own."""
        for one in roots_names(name):
            material = self._materials.get((namespace, one), ABSENT)
            if not material.roots_problem:
                return material.roots
        return None
