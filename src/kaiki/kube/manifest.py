"""Puts a set of objects into a cluster in an order that works.

    namespaces → CRDs (waited for) → accounts and roles → config → services → workloads → the rest → webhooks

Webhooks come last: registered before their server runs, they would refuse what is applied after them.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaiki.kube.cache import Cache, running
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Conflict, KubeError, NotFound, Unavailable
from kaiki.kube.resource import CUSTOM_RESOURCE_DEFINITIONS, Object

INSTALL_ORDER: tuple[tuple[str, ...], ...] = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    ("PriorityClass", "ResourceQuota", "LimitRange"),
    ("ServiceAccount", "Role", "ClusterRole"),
    ("RoleBinding", "ClusterRoleBinding"),
    ("ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim"),
    ("Service", "Endpoints", "EndpointSlice"),
    ("Pod", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"),
    (),
    ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
)
_REST = INSTALL_ORDER.index(())
_RANKS = {kind: rank for rank, kinds in enumerate(INSTALL_ORDER) for kind in kinds}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_REMEMBERED = ("CustomResourceDefinition", "Secret")
RETRIED_ATTEMPTS = 6
PARALLEL_REQUESTS = 4
CRD_TIMEOUT_SECONDS = 60.0


class ManifestError(Exception):
    """A file is not a list of API objects; the message names the document and what it lacks."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One object has been applied: the `done`th of `total`."""

    obj: Object
    done: int
    total: int


def load_objects(text: str, source: str = "manifest") -> list[Object]:
    """The objects of a multi-document YAML (or JSON) text; `kind: List` is taken apart, empty documents are skipped."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = list(yaml.load_all(text, Loader=loader))
    except yaml.YAMLError as error:
        raise ManifestError(f"{source} is not YAML: {error}") from error
    return [obj for number, document in enumerate(documents, 1) for obj in _objects_of(document, number, source)]


def load_file(path: Path) -> list[Object]:
    """The objects of one file."""
    return load_objects(path.read_text(), str(path))


def _objects_of(document: Any, number: int, source: str) -> list[Object]:
    if document is None:
        return []
    if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
        raise ManifestError(f"{source}, document {number}: an object needs apiVersion and kind")
    if document["kind"] == "List":
        return [obj for item in document.get("items") or [] for obj in _objects_of(item, number, source)]
    if not (document.get("metadata") or {}).get("name"):
        raise ManifestError(f"{source}, document {number}: {document['kind']} has no metadata.name")
    return [document]


def install_rank(obj: Object) -> int:
    """Where an object belongs in the order of installation; objects of one rank do not need each other."""
    return _RANKS.get(str(obj["kind"]), _REST)


def in_install_order(objects: Iterable[Object]) -> list[list[Object]]:
    """The objects in groups: each group needs only the groups before it."""
    groups: dict[int, list[Object]] = {}
    for obj in objects:
        groups.setdefault(install_rank(obj), []).append(obj)
    return [groups[rank] for rank in sorted(groups)]


async def apply_objects(
    client: KubeClient,
    objects: Sequence[Object],
    *,
    field_manager: str = "kaiki",
    progress: Callable[[Progress], None] | None = None,
) -> list[Object]:
    """Server-side applies all objects in install order, each group at once, and answers them as stored.

    Raises the first KubeError; what was applied before stays, and applying again goes on from there.
    """
    applied: list[Object] = []

    slots = asyncio.Semaphore(PARALLEL_REQUESTS)

    async def apply_one(obj: Object) -> None:
        async with slots:
            stored = await _apply(client, obj, field_manager)
        applied.append(stored)
        if progress is not None:
            progress(Progress(stored, len(applied), len(objects)))

    for group in in_install_order(objects):
        await _all_or_first_error([asyncio.create_task(apply_one(obj)) for obj in group])
        definitions = [obj["metadata"]["name"] for obj in group if obj["kind"] == "CustomResourceDefinition"]
        if definitions:
            await wait_for_definitions(client, definitions)
    return applied


async def _all_or_first_error(tasks: list[asyncio.Task[None]]) -> None:
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def remembering(obj: Object) -> Object:
    """The object with what was applied noted on it, as `kubectl apply` notes it.

    Without the note kubectl warns of every object when somebody applies a changed manifest over an installation. Not
    for definitions, which are large, nor for Secrets, whose content belongs in one place only.
    """
    if obj["kind"] in _NOT_REMEMBERED:
        return obj
    metadata = obj["metadata"]
    annotations = {name: text for name, text in (metadata.get("annotations") or {}).items() if name != LAST_APPLIED}
    plain = {**_without_volumes(obj), "metadata": {**metadata, "annotations": annotations}}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&":  # as Go's encoder writes them
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text + "\n"}}}


def _without_volumes(obj: Object) -> Object:
    """A workload as noted: what the note names and a later manifest does not, kubectl takes away, and volumes differ
    from machine to machine. A manifest that names none must not part the metrics store from its folder.
    """
    result: Object = json.loads(json.dumps(obj))
    pod = ((result.get("spec") or {}).get("template") or {}).get("spec") or {}
    pod.pop("volumes", None)
    for container in pod.get("containers") or ():
        container.pop("volumeMounts", None)
    return result


async def _apply(client: KubeClient, obj: Object, field_manager: str) -> Object:
    """Tries again where waiting helps: a webhook still starting, a write in between, a type just being served."""
    obj = remembering(obj)
    for attempt in range(RETRIED_ATTEMPTS):
        try:
            return await client.apply(obj, field_manager)
        except (Unavailable, Conflict, NotFound):
            if attempt == RETRIED_ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


async def wait_for_definitions(
    client: KubeClient, names: Iterable[str], timeout_seconds: float = CRD_TIMEOUT_SECONDS
) -> None:
    """Returns when all these CRDs are Established, that is, their types are served."""
    waiting = set(names)
    done = asyncio.Event()
    cache = Cache(client, CUSTOM_RESOURCE_DEFINITIONS, trim=_keep_status)
    async with running(cache):
        cache.subscribe(lambda event: _note_established(event.new, waiting, done))
        try:
            async with asyncio.timeout(timeout_seconds):
                await done.wait()
        except TimeoutError:
            names_text = ", ".join(sorted(waiting))
            raise KubeError(f"CRDs not Established after {timeout_seconds:.0f} s: {names_text}") from None


def _keep_status(definition: Object) -> None:
    definition.pop("spec", None)


def _note_established(definition: Object | None, waiting: set[str], done: asyncio.Event) -> None:
    if definition is not None:
        conditions = (definition.get("status") or {}).get("conditions") or []
        if any(item["type"] == "Established" and item["status"] == "True" for item in conditions):
            waiting.discard(definition["metadata"]["name"])
    if not waiting:
        done.set()


async def delete_objects(client: KubeClient, objects: Sequence[Object]) -> int:
    """Deletes objects in the reverse order; answers how many there were. Missing ones are no error."""
    deleted = 0
    for group in reversed(in_install_order(objects)):
        for obj in group:
            try:
                metadata = obj["metadata"]
                await client.delete(
                    await client.type_of(obj), metadata["name"], metadata.get("namespace") or client.config.namespace
                )
                deleted += 1
            except NotFound:
                continue
    return deleted
