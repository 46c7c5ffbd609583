"""What happens to an object between its arrival and the store: fields, metadata, defaults, validation, ownership.

Functions of values; `operations.py` puts admission webhooks and the store around them.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

from kaiki.apiserver import certificate_requests, custom_validation, rules, validation
from kaiki.apiserver.catalog import ResourceType, is_idle
from kaiki.apiserver.defaults import apply_defaults
from kaiki.apiserver.errors import ApiError, FieldErrors, bad_request
from kaiki.apiserver.field_sets import blank
from kaiki.apiserver.fields import apply_schema_defaults, read_fields, unknown_field_message
from kaiki.apiserver.ownership import UPDATE, Manager, after_update, entries_of, entries_to_keep, write_entries
from kaiki.apiserver.pod_admission import quality_of_service
from kaiki.apiserver.registry import definition_status
from kaiki.apiserver.requests import ApiRequest, timestamp
from kaiki.apiserver.schemas import schema_of

Object = dict[str, Any]
_KEPT_METADATA = (
    "name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
    "generateName", "selfLink",
)  # fmt: skip
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
SERVER = "kube-apiserver"
"""The manager of what the server writes itself."""


def read_object(request: ApiRequest, value: Any) -> Object:
    """A request's body as an object of the request's kind, without unknown fields (refused or warned of as asked)."""
    kind = request.kind
    if not isinstance(value, dict):
        raise bad_request("the object provided is unrecognized (must be of type Object)")
    said = (value.get("apiVersion") or kind.api_version, value.get("kind") or kind.kind)
    if said != (kind.api_version, kind.kind):
        message = f"the API version in the data ({said[0]}, Kind={said[1]}) does not match the expected API version "
        raise bad_request(message + f"({kind.api_version}, Kind={kind.kind})")
    clean, unknown = read_fields(kind, value)
    if unknown and request.validation == "Strict":
        message = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
        raise bad_request(message + unknown_field_message(unknown))
    if unknown and request.validation == "Warn":
        request.warnings += [f'unknown field "{path}"' for path in unknown]
    if not isinstance(clean.get("metadata"), dict):
        clean["metadata"] = {}
    return {**clean, "apiVersion": kind.api_version, "kind": kind.kind}


def prepare_new(request: ApiRequest, value: Object) -> None:
    """Metadata and defaults of an object to be created, in place."""
    kind, metadata = request.kind, value["metadata"]
    if metadata.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if request.name and metadata.setdefault("name", request.name) != request.name:
        raise bad_request("the name of the object does not match the name on the URL")
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = str(metadata["generateName"])[:58] + "".join(random.choices(_SUFFIX, k=5))
    _settle_namespace(request, metadata)
    for key in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        metadata.pop(key, None)
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
    if kind.generation:
        metadata["generation"] = 1
    if kind.has_status and kind.plural != "nodes":
        value.pop("status", None)
    if kind.plural == certificate_requests.PLURAL:
        certificate_requests.note_requester(request, value)
    complete(request, value)
    if kind.has_status and not kind.custom and kind.plural != "horizontalpodautoscalers":
        value.setdefault("status", {"loadBalancer": {}} if kind.plural in ("services", "ingresses") else {})
    if kind.plural == "customresourcedefinitions":
        _warn_of_rules(request, value)
    if is_idle(kind):
        request.warnings.append(f"kaiki: {kind.plural} are stored, but nothing on this machine acts on them")


def _warn_of_rules(request: ApiRequest, definition: Object) -> None:
    """A rule that cannot be in force is said, not ignored."""
    for version in (definition.get("spec") or {}).get("versions") or ():
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        request.warnings += rules.rule_problems(schema) if isinstance(schema, dict) else []


def _settle_namespace(request: ApiRequest, metadata: Object) -> None:
    if request.kind.namespaced:
        if metadata.setdefault("namespace", request.namespace) != request.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise bad_request(message)
    else:
        metadata.pop("namespace", None)


def complete(request: ApiRequest, value: Object) -> None:
    """Defaults, in place; again after webhooks have changed the object."""
    if request.kind.custom:
        apply_schema_defaults(value, request.kind.schema or {})
    else:
        apply_defaults(request.kind, value)
    if request.kind.plural == "customresourcedefinitions" and "versions" in value["spec"]:
        value["status"] = definition_status(value, timestamp())
    if request.kind.qualified_name == "pods" and "qosClass" in (value.get("status") or {}):
        value["status"]["qosClass"] = quality_of_service(value["spec"])


def prepare_update(request: ApiRequest, old: Object, new: Object) -> None:
    """Metadata and defaults of an object that replaces `old`, in place."""
    kind, before, metadata = request.kind, old["metadata"], new["metadata"]
    if metadata.get("name", request.name) != request.name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({request.name})"
        )
    if metadata.get("uid") and metadata["uid"] != before["uid"]:
        why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {before['uid']}"
        raise ApiError(
            409, "Conflict", f'Operation cannot be fulfilled on {kind.qualified_name} "{request.name}": {why}'
        )
    for key in _KEPT_METADATA:
        metadata.pop(key, None)
        if key in before:
            metadata[key] = before[key]
    if "managedFields" in before and "managedFields" not in metadata:
        metadata["managedFields"] = before["managedFields"]
    if request.subresource in ("status", "finalize", "scale", "approval"):
        _keep_all_but(request.subresource, old, new)
    elif kind.has_status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    complete(request, new)
    if kind.plural == "customresourcedefinitions" and _specification(new) != _specification(old):
        _warn_of_rules(request, new)
    if kind.generation and _specification(new) != _specification(old):
        metadata["generation"] = before.get("generation", 1) + 1


def _keep_all_but(subresource: str, old: Object, new: Object) -> None:
    """A write to a subresource changes that part only."""
    given = dict(new)
    finalizers = (given.get("spec") or {}).get("finalizers")
    managed = new["metadata"].get("managedFields")
    if subresource == "scale":
        return
    new.clear()
    new.update(old)
    new["metadata"] = dict(old["metadata"])
    if managed is not None:
        new["metadata"]["managedFields"] = managed
    if subresource == "approval":
        conditions = (given.get("status") or {}).get("conditions") or []
        new["status"] = {**(old.get("status") or {}), "conditions": conditions}
    elif subresource == "status":
        new.pop("status", None)
        if "status" in given:
            new["status"] = given["status"]
    else:
        new["spec"] = {**(old.get("spec") or {}), "finalizers": finalizers or []}


def _specification(value: Object) -> Object:
    return {key: item for key, item in value.items() if key not in ("apiVersion", "kind", "metadata", "status")}


def check(request: ApiRequest, value: Object, old: Object | None) -> None:
    """ApiError 422 with every wrong field of the object."""
    kind = request.kind
    causes = validation.check_metadata(kind, value)
    if kind.custom:
        causes += custom_validation.check_custom(kind, value)
        causes += [] if causes else rules.check_rules(kind, value, old)
    elif request.subresource != "status":
        causes += validation.check_built_in(kind, value, old)
        if kind.plural == certificate_requests.PLURAL:
            causes += certificate_requests.check_request(value, old)
    if causes:
        raise FieldErrors(kind, value["metadata"].get("name") or "", causes)


def record_ownership(request: ApiRequest, value: Object, old: Object | None) -> None:
    """Keep `managedFields` right before a write that is not an apply, as Kubernetes does: before webhooks change the
    object, so that what they add belongs to nobody.

    An object whose entries have been cleared is followed again from its next apply on.
    """
    if not request.tracked:
        return
    entries = entries_to_keep(old, value, own=not request.subresource)
    if entries or old is None:
        entries = own_changes(request.kind, entries, old, value, request.manager(UPDATE))
    write_entries(value, entries)


def own_changes(
    kind: ResourceType, entries: list[Object], old: Object | None, new: Object, manager: Manager
) -> list[Object]:
    """The entries after this manager has made `new` of `old` (None: created it)."""
    schema = schema_of(kind)
    before = blank(new, schema, kind.custom) if old is None else old
    return after_update(entries, before, new, schema, manager, kind.has_status and not manager.subresource)


def record_own_status(request: ApiRequest, value: Object, old: Object | None) -> None:
    """The server writes the status of definitions itself, with every write to them."""
    kind = request.kind
    if kind.plural != "customresourcedefinitions" or request.subresource or not (entries_of(value) or old is None):
        return
    server = Manager(SERVER, UPDATE, kind.api_version, timestamp(), "status")
    before = {**value, "status": (old or {}).get("status") or {}}
    write_entries(value, after_update(entries_of(value), before, value, schema_of(kind), server))


def all_owned(kind: ResourceType, value: Object, name: str) -> list[Object]:
    """The entry of one manager that owns all of an object."""
    return own_changes(kind, [], None, value, Manager(name, UPDATE, kind.api_version, timestamp()))


def is_unchanged(old: Object, new: Object) -> bool:
    """Whether writing `new` would change nothing but times of ownership."""
    return _comparable(old) == _comparable(new)


def _comparable(value: Object) -> Object:
    metadata = {key: item for key, item in value["metadata"].items() if key != "resourceVersion"}
    if "managedFields" in metadata:
        metadata["managedFields"] = [
            {key: item for key, item in entry.items() if key != "time"} for entry in metadata["managedFields"]
        ]
    return {**value, "metadata": metadata}


def definition_of(kind: ResourceType) -> str:
    """How a kind is called in messages: `apps/v1, Kind=Deployment`."""
    return f"{kind.api_version}, Kind={kind.kind}"
