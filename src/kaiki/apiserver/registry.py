"""Which kinds are served right now: the built-in ones and, as CRDs come and go, custom resources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from kaiki.apiserver.catalog import BUILT_IN, PrinterColumn, ResourceType, Subresource
from kaiki.apiserver.store import Event, Record, Store

DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions"
_AGE = PrinterColumn("Age", "date", ".metadata.creationTimestamp")
Object = dict[str, Any]


class Registry:
    """Looks up kinds by path and by name, and follows the store's CRDs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kinds = {(kind.group, kind.version, kind.plural): kind for kind in BUILT_IN}
        self._by_definition: dict[str, list[ResourceType]] = {}
        self.generation = 0
        for record in store.list(DEFINITIONS):
            self._follow(record)
        store.listeners.append(self._observe)

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        return self._kinds.get((group, version, plural))

    def all(self) -> Iterable[ResourceType]:
        return self._kinds.values()

    def custom(self) -> list[ResourceType]:
        """Every version of every custom resource."""
        return [kind for kinds in self._by_definition.values() for kind in kinds]

    def of_definition(self, name: str) -> list[ResourceType]:
        """The served versions of one CRD."""
        return self._by_definition.get(name, [])

    def _observe(self, collection: str, event: Event) -> None:
        if collection != DEFINITIONS:
            return
        before = event.previous.load().get("spec") if event.previous else None
        if event.type == "MODIFIED" and event.record.load()["spec"] == before:
            return
        self._forget(event.record.name)
        if event.type != "DELETED":
            self._follow(event.record)

    def _forget(self, name: str) -> None:
        self.generation += 1
        for kind in self._by_definition.pop(name, ()):
            del self._kinds[kind.group, kind.version, kind.plural]

    def _follow(self, record: Record) -> None:
        self.generation += 1
        kinds = custom_kinds(record.load(), self._store)
        self._by_definition[record.name] = kinds
        for kind in kinds:
            self._kinds.setdefault((kind.group, kind.version, kind.plural), kind)


def custom_kinds(definition: Object, store: Store) -> list[ResourceType]:
    """The kinds a CRD serves, one per version. Schemas stay in the store until they are needed."""
    spec = definition["spec"]
    storage = next((each["name"] for each in spec["versions"] if each.get("storage")), "")
    return [_custom_kind(definition, version, storage, store) for version in spec["versions"] if version.get("served")]


def _custom_kind(definition: Object, version: Object, storage: str, store: Store) -> ResourceType:
    spec = definition["spec"]
    names = spec["names"]
    digest = hashlib.sha256(repr((version, names)).encode()).hexdigest()
    return ResourceType(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(_subresources(names["kind"], version.get("subresources") or {})),
        generation=True,
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or "",
        custom=True,
        load_schema=partial(_load_schema, store, definition["metadata"]["name"], version["name"]),
        schema_hash=digest,
        columns=_columns(version),
        selectable_paths=tuple(each["jsonPath"].lstrip(".") for each in version.get("selectableFields") or ()),
        storage_version=storage,
    )


def _subresources(kind: str, declared: Object) -> Iterable[Subresource]:
    if "status" in declared:
        yield Subresource("status", kind)
    if scale := declared.get("scale"):
        paths = scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or ""
        yield Subresource("scale", "Scale", group="autoscaling", version="v1", paths=paths)


def _columns(version: Object) -> tuple[PrinterColumn, ...]:
    declared = version.get("additionalPrinterColumns")
    if not declared:
        return (_AGE,)
    return tuple(
        PrinterColumn(
            each["name"],
            each["type"],
            each["jsonPath"],
            each.get("priority") or 0,
            each.get("format") or "",
            each.get("description") or "",
        )
        for each in declared
    )


def _load_schema(store: Store, name: str, version: str) -> Mapping[str, Any]:
    record = store.get(DEFINITIONS, "", name)
    versions = record.load()["spec"]["versions"] if record else ()
    found: Object = next((each for each in versions if each["name"] == version), {})
    schema: Mapping[str, Any] = (found.get("schema") or {}).get("openAPIV3Schema") or {}
    return schema


def definition_status(definition: Object, now: str) -> Object:
    """The status of a CRD: its names are accepted and it is served, at once."""
    spec = definition["spec"]
    old = definition.get("status") or {}
    conditions = {each["type"]: each for each in old.get("conditions") or ()}
    said = (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    )
    for name, reason, message in said:
        fresh = {"lastTransitionTime": now, "message": message, "reason": reason, "status": "True", "type": name}
        conditions.setdefault(name, fresh)
    storage = [each["name"] for each in spec["versions"] if each.get("storage")]
    stored = list(dict.fromkeys([*(old.get("storedVersions") or ()), *storage]))
    return {"acceptedNames": spec["names"], "conditions": list(conditions.values()), "storedVersions": stored}
