"""Kubernetes's own OpenAPI definitions, kind by kind: each is served, or stands here with the reason why not.

The source is the file from which tools/build_openapi.py makes the served documents. It names every group, version and
kind there is, alpha and beta ones too, which a cluster serves only when they are switched on.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from tests.apiserver.conftest import Client

from kaiki.apiserver.catalog import BUILT_IN
from kaiki.apiserver.openapi import kubernetes_version

NO_RESOURCES = {
    ("", "v1", "APIGroup"): "discovery itself",
    ("", "v1", "APIVersions"): "discovery itself",
    ("", "v1", "DeleteOptions"): "the body of a DELETE",
    ("", "v1", "Status"): "what a refusal is",
    ("", "v1", "WatchEvent"): "a line of a watch",
    ("", "v1", "Binding"): "the body of pods/binding",
    ("policy", "v1", "Eviction"): "the body of pods/eviction",
    ("autoscaling", "v1", "Scale"): "the body of …/scale",
    ("authentication.k8s.io", "v1", "TokenRequest"): "the body of serviceaccounts/token",
}
"""Kinds that are no collections on any cluster."""

ANSWERED = {
    "TokenReview",
    "SelfSubjectReview",
    "SubjectAccessReview",
    "SelfSubjectAccessReview",
    "SelfSubjectRulesReview",
    "LocalSubjectAccessReview",
}
"""Kinds that are asked, not stored: they can be created and nothing else, here and on a cluster."""


def published() -> set[tuple[str, str, str]]:
    """(group, version, kind) of every object Kubernetes describes; lists left out."""
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{kubernetes_version()}-local" / "_definitions.json").read_text()
    found = set()
    for schema in json.loads(text)["$defs"].values():
        for each in schema.get("x-kubernetes-group-version-kind", ()):
            found.add((each["group"], each["version"], each["kind"]))
    bodies = {"DeleteOptions", "Status", "WatchEvent"}
    found = {each for each in found if each[2] not in bodies or each[:2] == ("", "v1")}
    return {each for each in found if not (each[2].endswith("List") and (*each[:2], each[2][:-4]) in found)} - {
        ("", "v1", "APIGroupList"), ("", "v1", "APIResourceList"),
    }  # fmt: skip


def is_stable(version: str) -> bool:
    return re.fullmatch(r"v\d+", version) is not None


async def served(api: Client) -> dict[tuple[str, str, str], Any]:
    """What discovery says is served: (group, version, kind) → (path, verbs, whether it has namespaces)."""
    _, groups = await api.get("/apis")
    paths = ["api/v1"] + [f"apis/{v['groupVersion']}" for group in groups["groups"] for v in group["versions"]]
    found = {}
    for path in paths:
        group, version = ["", *path.split("/")[1:]][-2:]
        _, listed = await api.get(f"/{path}")
        for each in listed["resources"]:
            if "/" not in each["name"]:
                found[group, version, each["kind"]] = f"/{path}", each["name"], each["verbs"], each["namespaced"]
    return found


async def test_every_stable_kind_is_served_in_every_stable_version(api: Client) -> None:
    stable = {each for each in published() if is_stable(each[1])}
    assert len(stable) > 60
    assert stable - set(await served(api)) == set(NO_RESOURCES)


async def test_a_kind_without_a_stable_version_is_served_in_its_newest(api: Client) -> None:
    present, known = set(await served(api)), published()
    has_stable = {(group, kind) for group, version, kind in known if is_stable(version)}
    young = {each for each in known if (each[0], each[2]) not in has_stable}
    assert {(group, kind) for group, _, kind in young} == {(group, kind) for group, _, kind in present & young}
    older = {each for each in known - present if each not in NO_RESOURCES}
    assert all(not is_stable(version) for _, version, _ in older)
    assert {(group, kind) for group, _, kind in older} <= {(group, kind) for group, _, kind in present}


async def test_each_is_listed_and_read_and_written_or_only_answers(api: Client) -> None:
    for (_, _, kind), (root, plural, verbs, namespaced) in (await served(api)).items():
        code, listed = await api.get(f"{root}/{plural}")
        if kind in ANSWERED:
            assert (verbs, code) == (["create"], 405)
            continue
        assert (code, listed["kind"]) == (200, f"{kind}List")
        where = f"{root}/namespaces/default/{plural}" if namespaced else f"{root}/{plural}"
        code, missing = await api.get(f"{where}/nothing-of-this-name")
        assert (code, missing["reason"]) == (404, "NotFound")
        code, answer = await api.post(f"{where}?dryRun=All", {"metadata": {"name": "not/a/name"}})
        assert code == (422 if "create" in verbs else 405), (kind, answer)


def test_no_kind_stands_twice() -> None:
    assert len({(each.group, each.version, each.plural) for each in BUILT_IN}) == len(BUILT_IN)
