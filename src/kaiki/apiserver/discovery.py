"""Discovery: which groups, versions and kinds there are; aggregated (kubectl ≥ 1.26, one request) and in the old
form.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaiki.apiserver.catalog import ResourceType, Subresource

Object = dict[str, Any]


def _versions(kinds: Iterable[ResourceType]) -> dict[str, dict[str, list[ResourceType]]]:
    """group → version → kinds, in the order they were registered; versions by Kubernetes's priority."""
    groups: dict[str, dict[str, list[ResourceType]]] = {}
    for kind in kinds:
        groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)
    return {
        group: dict(sorted(versions.items(), key=lambda item: _priority(item[0]), reverse=True))
        for group, versions in groups.items()
    }


def _priority(version: str) -> tuple[int, int, int]:
    """v2 before v1 before v1beta1 before v1alpha3 (Kubernetes, "Version priority")."""
    head = version.removeprefix("v")
    for rank, word in ((2, "beta"), (1, "alpha")):
        if word in head:
            major, _, minor = head.partition(word)
            return rank, int(major or 0), int(minor or 0)
    return 3, int(head) if head.isdigit() else 0, 0


def aggregated(kinds: Iterable[ResourceType], core: bool, version: str) -> Object:
    """The `APIGroupDiscoveryList` of `/api` (core) or of `/apis`; `version` is v2 or v2beta1."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {"version": name, "freshness": "Current", "resources": [_aggregated_kind(kind) for kind in listed]}
                for name, listed in versions.items()
            ],
        }
        for group, versions in _versions(kinds).items()
        if (group == "") == core
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_kind(kind: ResourceType) -> Object:
    result: Object = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular_name,
        "verbs": list(kind.verbs),
    }
    result |= {"shortNames": list(kind.short_names)} if kind.short_names else {}
    result |= {"categories": list(kind.categories)} if kind.categories else {}
    if kind.subresources:
        result["subresources"] = [_aggregated_subresource(kind, each) for each in kind.subresources]
    return result


def _aggregated_subresource(kind: ResourceType, subresource: Subresource) -> Object:
    answer = {
        "group": subresource.group or kind.group,
        "version": subresource.version or kind.version,
        "kind": subresource.kind,
    }
    return {"subresource": subresource.name, "responseKind": answer, "verbs": list(subresource.verbs)}


def group_list(kinds: Iterable[ResourceType]) -> Object:
    """`/apis` in the old form."""
    groups = [_group(group, list(versions)) for group, versions in _versions(kinds).items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def one_group(kinds: Iterable[ResourceType], group: str) -> Object | None:
    """`/apis/<group>`; None when there is no such group."""
    versions = _versions(kinds).get(group)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, list(versions))} if versions else None


def _group(group: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def resource_list(kinds: Iterable[ResourceType], group: str, version: str) -> Object | None:
    """`/api/v1` or `/apis/<group>/<version>`; None when there is no such version."""
    listed = _versions(kinds).get(group, {}).get(version)
    if listed is None:
        return None
    resources: list[Object] = []
    for kind in listed:
        resources.append(_resource(kind))
        resources += [_subresource(kind, each) for each in kind.subresources]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


def _resource(kind: ResourceType) -> Object:
    result: Object = {"name": kind.plural, "singularName": kind.singular_name, "namespaced": kind.namespaced}
    result |= {"kind": kind.kind, "verbs": list(kind.verbs)}
    result |= {"shortNames": list(kind.short_names)} if kind.short_names else {}
    return result | ({"categories": list(kind.categories)} if kind.categories else {})


def _subresource(kind: ResourceType, subresource: Subresource) -> Object:
    result: Object = {"name": f"{kind.plural}/{subresource.name}", "singularName": "", "namespaced": kind.namespaced}
    result |= {"kind": subresource.kind, "verbs": list(subresource.verbs)}
    return result | ({"group": subresource.group, "version": subresource.version} if subresource.group else {})
