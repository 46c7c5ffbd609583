"""Create, update, apply and delete: the life of an object, whoever asks and however.

    body ─▶ preparation (fields, metadata, defaults) ─▶ webhooks that change ─▶ checks ─▶ webhooks that refuse ─▶ store

Reading needs nothing of this and goes from the handlers straight to the store.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from kaiki.apiserver import certificate_requests, preparation
from kaiki.apiserver.addresses import AddressPool
from kaiki.apiserver.apply import ApplyConflict, server_side_apply
from kaiki.apiserver.authorization import Authorizer
from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import ApiError, already_exists, bad_request, conflict, forbidden, not_found
from kaiki.apiserver.ownership import APPLY, Manager
from kaiki.apiserver.pod_admission import admit_pod, check_limits
from kaiki.apiserver.quotas import check_quotas
from kaiki.apiserver.registry import Registry
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.schemas import schema_of
from kaiki.apiserver.store import Record, RevisionMismatch, Store
from kaiki.apiserver.versions import served_object, stored_object

Object = dict[str, Any]
Produce = Callable[[Object], Object]
ATTEMPTS = 8
NAMESPACES = "/namespaces"
PROTECTED_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Webhooks(Protocol):
    """The admission webhooks users have configured (admission.py)."""

    async def mutate(
        self, request: ApiRequest, operation: str, new: Object | None, old: Object | None
    ) -> Object | None:
        """The object as the webhooks want it; ApiError when one refuses."""

    async def validate(self, request: ApiRequest, operation: str, new: Object | None, old: Object | None) -> None:
        """ApiError when one refuses."""


class Operations:
    """Writes to the store, as the API does them."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        addresses: AddressPool,
        webhooks: Webhooks,
        authorizer: Authorizer,
        home: Path,
    ) -> None:
        self.store = store
        self._registry = registry
        self._addresses = addresses
        self._webhooks = webhooks
        self._authorizer = authorizer
        self._home = home

    def read(self, request: ApiRequest) -> Record:
        """The record a request names; ApiError 404 when there is none."""
        record = self.store.get(request.kind.storage, request.namespace, request.name)
        if record is None:
            raise not_found(request.kind, request.name)
        return record

    async def create(self, request: ApiRequest, body: Any, applied: bool = False) -> Record:
        """Store a new object and answer its record. One that is `applied` says already who owns its fields."""
        value = preparation.read_object(request, body)
        preparation.prepare_new(request, value)
        if not applied:
            preparation.record_ownership(request, value, None)
        preparation.record_own_status(request, value, None)
        request.name = value["metadata"].get("name") or ""
        self._check_namespace(request)
        if request.kind.plural == "pods" and "spec" in value:
            preparation.check(request, value, None)
            admit_pod(request, value, self.store)
        value = await self._admit(request, "CREATE", value, None)
        if self.store.get(request.kind.storage, request.namespace, request.name):
            raise already_exists(request.kind, request.name)
        if request.kind.qualified_name == "pods":
            check_limits(request, value, self.store)
        if request.kind.namespaced:
            check_quotas(self.store, request.kind, value, request.namespace)
        if request.kind.qualified_name == "services":
            self._addresses.assign(request.kind, value)
        return self._write(request, value, 0)

    def _check_namespace(self, request: ApiRequest) -> None:
        if not request.kind.namespaced:
            return
        namespace = self.store.get(NAMESPACES, "", request.namespace)
        if namespace is None:
            kind = self._registry.find("", "v1", "namespaces")
            assert kind is not None
            raise not_found(kind, request.namespace)
        if b'"deletionTimestamp"' in namespace.body and "deletionTimestamp" in namespace.load()["metadata"]:
            why = f"unable to create new content in namespace {request.namespace} because it is being terminated"
            error = forbidden(request.kind, request.name, why)
            cause = {"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}
            error.details = {**(error.details or {}), "causes": [cause]}
            raise error

    async def _admit(self, request: ApiRequest, operation: str, new: Object, old: Object | None) -> Object:
        """Through the webhooks and the checks between them."""
        admitted = await self._webhooks.mutate(request, operation, new, old)
        if admitted is not None and admitted is not new:
            new = preparation.read_object(request, admitted)
            preparation.complete(request, new)
        preparation.check(request, new, old)
        self._authorizer.check_escalation(request.user, request.kind, request.namespace, new)
        await self._webhooks.validate(request, operation, new, old)
        return new

    async def update(self, request: ApiRequest, produce: Produce) -> Record:
        """Replace an object by what `produce` makes of it, again when somebody else wrote in between.

        When what it makes carries a resourceVersion other than the stored one, that is a conflict, and final.
        """
        for _ in range(ATTEMPTS):
            record = self.read(request)
            old = served_object(request.kind, record)
            new = preparation.read_object(request, produce(served_object(request.kind, record)))
            asked = new["metadata"].get("resourceVersion")
            if asked and asked != str(record.revision):
                raise conflict(request.kind, request.name)
            new["metadata"]["resourceVersion"] = str(record.revision)
            if request.subresource:
                new["metadata"].pop("managedFields", None)  # only a write to the object itself can change them
            self._prepare_update(request, old, new)
            preparation.record_ownership(request, new, old)
            preparation.record_own_status(request, new, old)
            try:
                return await self._finish_update(request, record, old, new)
            except RevisionMismatch:
                if self.store.get(request.kind.storage, request.namespace, request.name) is None:
                    raise not_found(request.kind, request.name) from None
        raise conflict(request.kind, request.name)

    def _prepare_update(self, request: ApiRequest, old: Object, new: Object) -> None:
        preparation.prepare_update(request, old, new)
        if request.kind.qualified_name == "services" and not request.subresource:
            self._addresses.carry_over(new, old)

    async def _finish_update(self, request: ApiRequest, record: Record, old: Object, new: Object) -> Record:
        if preparation.is_unchanged(old, new):
            return record
        admitted = await self._admit(request, "UPDATE", new, old)
        was_changed, new = admitted is not new, admitted
        if request.kind.qualified_name == "services" and not request.subresource:
            self._addresses.assign(request.kind, new)
        if request.kind.plural == certificate_requests.PLURAL:
            certificate_requests.sign(self._home, new)
        if was_changed and preparation.is_unchanged(old, new):
            return record
        if _is_finished(request.kind, new):
            return self._remove(request, new, record.revision)
        return self._write(request, new, record.revision)

    def _write(self, request: ApiRequest, value: Object, expected: int) -> Record:
        kind = request.kind
        stored = stored_object(kind, value)
        if request.dry_run:
            return _unstored(request, stored, expected or self.store.revision)
        try:
            return self.store.put(kind.storage, request.namespace, request.name, stored, expected)
        except RevisionMismatch:
            if not expected:
                raise already_exists(kind, request.name) from None
            raise

    def _remove(self, request: ApiRequest, value: Object, expected: int) -> Record:
        kind = request.kind
        stored = stored_object(kind, value)
        if request.dry_run:
            return _unstored(request, stored, expected)
        if kind.plural == "customresourcedefinitions":
            self._remove_instances(request.name)
        return self.store.delete(kind.storage, request.namespace, request.name, stored, expected)

    def _remove_instances(self, definition: str) -> None:
        """A CRD takes its objects with it."""
        for storage in {kind.storage for kind in self._registry.of_definition(definition)}:
            for record in list(self.store.list(storage)):
                self.store.delete(storage, record.namespace, record.name, record.load(), record.revision)

    async def apply(self, request: ApiRequest, patch: Any) -> tuple[Record, bool]:
        """Server-side apply; answers the record and whether it is new."""
        if not isinstance(patch, dict):
            raise bad_request("an apply patch must be an object")
        if not request.query.get("fieldManager"):
            raise bad_request(
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
            )
        patch = preparation.read_object(request, patch)
        if patch["metadata"].pop("managedFields", None):
            raise bad_request("metadata.managedFields must be nil")
        patch = _applicable(request, patch)
        manager = request.manager(APPLY)
        exists = self.store.get(request.kind.storage, request.namespace, request.name) is not None
        if not exists and request.subresource:
            raise not_found(request.kind, request.name)
        if not exists:
            merged = self._merge_apply(request, None, patch, manager)
            return await self.create(request, merged, applied=True), True
        stated = patch["metadata"].get("resourceVersion")

        def produce(current: Object) -> Object:
            if stated and stated != current["metadata"]["resourceVersion"]:
                raise conflict(request.kind, request.name)
            return self._merge_apply(request, current, patch, manager)

        return await self._update_applied(request, produce), False

    async def _update_applied(self, request: ApiRequest, produce: Produce) -> Record:
        """As `update`, with the ownership that the apply has computed."""
        for _ in range(ATTEMPTS):
            record = self.read(request)
            old = served_object(request.kind, record)
            new = preparation.read_object(request, produce(served_object(request.kind, record)))
            self._prepare_update(request, old, new)
            preparation.record_own_status(request, new, old)
            if preparation.is_unchanged(old, new):
                return record
            new = await self._admit(request, "UPDATE", new, old)
            if request.kind.qualified_name == "services" and not request.subresource:
                self._addresses.assign(request.kind, new)
            try:
                if _is_finished(request.kind, new):
                    return self._remove(request, new, record.revision)
                return self._write(request, new, record.revision)
            except RevisionMismatch:
                continue
        raise conflict(request.kind, request.name)

    def _merge_apply(self, request: ApiRequest, current: Object | None, patch: Object, manager: Manager) -> Object:
        schema = schema_of(request.kind)
        if current and not current["metadata"].get("managedFields"):
            current["metadata"]["managedFields"] = preparation.all_owned(request.kind, current, "before-first-apply")
        try:
            return server_side_apply(current, patch, schema, manager, request.flag("force"))
        except ApplyConflict as refused:
            raise _apply_conflict(refused) from None

    async def delete(self, request: ApiRequest, options: Object) -> tuple[Record, bool]:
        """Delete an object; answers its record and whether it is gone (or waits for finalizers or its node)."""
        for _ in range(ATTEMPTS):
            record = self.read(request)
            old = served_object(request.kind, record)
            _check_preconditions(request, old, options)
            if request.kind.plural == "namespaces" and request.name in PROTECTED_NAMESPACES:
                raise forbidden(request.kind, request.name, "this namespace may not be deleted")
            await self._webhooks.mutate(request, "DELETE", None, old)
            await self._webhooks.validate(request, "DELETE", None, old)
            new = served_object(request.kind, record)
            _mark_deleted(request.kind, new, options)
            try:
                if _is_finished(request.kind, new):
                    return self._remove(request, new, record.revision), True
                if preparation.is_unchanged(old, new):
                    return record, False
                return self._write(request, new, record.revision), False
            except RevisionMismatch:
                continue
        raise conflict(request.kind, request.name)

    async def delete_all(self, request: ApiRequest, options: Object) -> list[Record]:
        """Delete every object the request selects."""
        selector = request.selector
        chosen = [each for each in self.store.list(request.kind.storage, request.namespace) if selector.matches(each)]
        deleted = []
        for record in chosen:
            one = ApiRequest(
                request.kind,
                record.namespace,
                record.name,
                "",
                request.query,
                request.user,
                request.agent,
                request.warnings,
            )
            try:
                deleted.append((await self.delete(one, options))[0])
            except ApiError as error:
                if error.code != 404:
                    raise
        return deleted


def _unstored(request: ApiRequest, value: Object, revision: int) -> Record:
    """What a dry run answers: the record as it would be."""
    import orjson

    value["metadata"]["resourceVersion"] = str(revision)
    body = orjson.dumps({"apiVersion": value["apiVersion"], "kind": value["kind"], **value})
    return Record(request.namespace, request.name, revision, body, value["metadata"].get("labels") or {})


def _applicable(request: ApiRequest, patch: Object) -> Object:
    """The part of an applied configuration that this path writes: the status here, all else there."""
    if request.subresource == "status":
        return {key: patch[key] for key in ("apiVersion", "kind", "metadata", "status") if key in patch} | {
            "metadata": {key: patch["metadata"][key] for key in ("name", "namespace") if key in patch["metadata"]}
        }
    if request.kind.has_status and not request.subresource:
        return {key: item for key, item in patch.items() if key != "status"}
    return patch


def _apply_conflict(refused: ApplyConflict) -> ApiError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {each.manager}", "field": each.field}
        for each in refused.conflicts
    ]
    return ApiError(409, "Conflict", refused.message, {"causes": causes})


def _check_preconditions(request: ApiRequest, old: Object, options: Object) -> None:
    wanted = options.get("preconditions") or {}
    metadata = old["metadata"]
    for key in ("uid", "resourceVersion"):
        if wanted.get(key) and wanted[key] != metadata[key]:
            title = "UID" if key == "uid" else "ResourceVersion"
            why = (
                f"Precondition failed: {title} in precondition: {wanted[key]}, {title} in object meta: {metadata[key]}"
            )
            raise conflict(request.kind, request.name, why)


def _mark_deleted(kind: ResourceType, value: Object, options: Object) -> None:
    """Say in the object that it is to go: the time, the grace period, the garbage collector's finalizer."""
    metadata = value["metadata"]
    grace = _grace_seconds(kind, value, options)
    finalizers = metadata.get("finalizers") or []
    wanted = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(options.get("propagationPolicy") or "")
    if wanted and wanted not in finalizers and "deletionTimestamp" not in metadata:
        metadata["finalizers"] = [*finalizers, wanted]
    if "deletionTimestamp" not in metadata or grace < metadata.get("deletionGracePeriodSeconds", 0):
        at = datetime.now(UTC) + timedelta(seconds=grace)
        metadata["deletionTimestamp"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["deletionGracePeriodSeconds"] = grace
        if kind.generation and "generation" in metadata:
            metadata["generation"] += 1
    if kind.plural == "namespaces":
        value.setdefault("status", {})["phase"] = "Terminating"


def _grace_seconds(kind: ResourceType, value: Object, options: Object) -> int:
    if kind.qualified_name != "pods":
        return 0
    asked = options.get("gracePeriodSeconds")
    if not value["spec"].get("nodeName") or (value.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(asked if asked is not None else value["spec"].get("terminationGracePeriodSeconds", 30))


def _is_finished(kind: ResourceType, value: Object) -> bool:
    """Whether a deleted object waits for nothing any more and can go."""
    metadata = value["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if kind.plural == "namespaces" and (value.get("spec") or {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")
