"""Nothing a user can write is silently ignored: every field of every networking kind is tried, with and without it.

A table for each kind (`fields/<Kind>.yaml`) names every leaf of the CRD's schema and gives it a value in a spec where
it should matter. A field among `fields` must change what proxies are told (or how they run); one among `unsupported`
must be named by a Finding. `like` takes the rows of one part of a spec for another of the same type.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import small_mesh
import yaml

from kaiki.app.membership import member_deployment, workload_entry
from kaiki.interpret.interpretation import check_object, interpret
from kaiki.interpret.mesh_names import mesh_names
from kaiki.interpret.proxy_configs import settings_of
from kaiki.model.finding import Finding
from kaiki.model.memo import Memo
from kaiki.resources.crds import custom_resource_definitions
from kaiki.translate.generate import generate

FOLDER = Path(__file__).with_name("fields")
KINDS = sorted(path.stem for path in FOLDER.glob("[A-Z]*.yaml"))
Spec = dict[str, Any]


class Row(NamedTuple):
    """One field, tried: the spec with it and without it, and whether it is in force or reported."""

    kind: str
    path: str
    with_it: Spec
    without: Spec
    in_force: bool


@cache
def schemas() -> dict[str, Any]:
    """Kind → the schema of its spec, of the networking kinds."""
    found = {}
    for item in custom_resource_definitions():
        if item["spec"]["group"] == "networking.istio.io":
            schema = item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            found[item["spec"]["names"]["kind"]] = schema["properties"]["spec"]
    return found


def leaves(schema: Spec, path: str = "") -> Iterator[str]:
    """The leaf fields below a schema: `[]` steps into a list, `{}` into a map of objects."""
    if schema.get("properties"):
        for name, child in schema["properties"].items():
            yield from leaves(child, f"{path}.{name}" if path else name)
    elif schema["type"] == "array":
        yield from leaves(schema["items"], f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"].get("properties"):
        yield from leaves(schema["additionalProperties"], f"{path}{{}}")
    else:
        yield path


def steps(path: str) -> list[str | int]:
    """The keys and indexes that lead to a place: the first element of a list, the entry `key` of a map."""
    found: list[str | int] = []
    for part in path.split("."):
        name = part.rstrip("[]{}")
        found.append(name)
        found += [0] if part.endswith("[]") else ["key"] if part.endswith("{}") else []
    return found


def get(spec: Any, path: str) -> Any:
    for step in steps(path):
        if isinstance(step, int):
            spec = spec[step] if isinstance(spec, list) and len(spec) > step else None
        else:
            spec = spec.get(step) if isinstance(spec, dict) else None
    return spec


def put(spec: Spec, path: str, value: Any) -> Spec:
    """A copy with a value at a place; what is missing on the way is made."""
    made = copy.deepcopy(spec)
    place: Any = made
    way = steps(path)
    for step, following in pairwise(way):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if len(place) <= step:
                place.append(empty)
        elif not place.get(step):
            place[step] = empty
        place = place[step]
    last = way[-1]
    if isinstance(last, int):
        place[last : last + 1] = [value]
    else:
        place[last] = value
    return made


def merged(base: Any, more: Any) -> Any:
    """One document over another; lists element by element, null takes away."""
    if isinstance(base, dict) and isinstance(more, dict):
        both = {name: merged(base.get(name), value) for name, value in more.items()}
        return {name: value for name, value in {**base, **both}.items() if value is not None}
    if isinstance(base, list) and isinstance(more, list):
        return [merged(base[n] if n < len(base) else None, value) for n, value in enumerate(more)] + base[len(more) :]
    return more


def rows(kind: str) -> Iterator[Row]:
    """All rows of a kind's table."""
    table = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text())
    own = list(_own_rows(kind, table))
    yield from own
    known = {row.path for row in own}
    for target, source in (table.get("like") or {}).items():
        allowed = {leaf for leaf in leaves(schemas()[kind]) if leaf.startswith(f"{target}.")}
        for row in own:
            path = f"{target}{row.path.removeprefix(source)}"
            if row.path.startswith(f"{source}.") and path in allowed - known:
                base = table["bases"].get(target) or next(iter(table["bases"].values()))
                parts = [merged(get(base, target) or {}, get(spec, source)) for spec in (row.with_it, row.without)]
                yield Row(kind, path, put(base, target, parts[0]), put(base, target, parts[1]), row.in_force)


def _own_rows(kind: str, table: Spec) -> Iterator[Row]:
    first = next(iter(table["bases"]))
    for group in ("fields", "unsupported"):
        for path, (value, *rest) in (table.get(group) or {}).items():
            base = table["bases"][rest[0] if rest else first]
            without = merged(base, rest[1]) if len(rest) > 1 else base
            yield Row(kind, path, put(without, path, value), without, group == "fields")


def _object(kind: str, spec: Spec) -> dict[str, Any]:
    metadata = {"name": "tested", "namespace": "default", "creationTimestamp": "2024-02-01T00:00:00Z"}
    version = "v1beta1" if kind == "ProxyConfig" else "v1"
    return {"apiVersion": f"networking.istio.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


@cache
def _mesh() -> tuple[dict[str, Any], ...]:
    return tuple(document for document in yaml.safe_load_all((FOLDER / "mesh.yaml").read_text()) if document)


class Seen(NamedTuple):
    """What is to be seen of an object: everything proxies get, how they run, what names mean; and the findings."""

    effects: dict[Any, Any]
    findings: set[Finding]


def observe(kind: str, spec: Spec) -> Seen:
    return _observe(kind, json.dumps(spec))


@lru_cache(maxsize=40)
def _observe(kind: str, text: str) -> Seen:
    obj = _object(kind, json.loads(text))
    documents = [*_mesh(), obj, *_beside(kind)]
    snapshot = interpret(small_mesh.inputs(documents)).snapshot
    memo = Memo()
    effects: dict[Any, Any] = {"names": mesh_names(snapshot)}
    for proxy in small_mesh.proxies(documents):
        config = generate(snapshot, proxy, memo)
        for type_url, found in config.resources.items():
            effects |= {(proxy.name, type_url, name): item.body for name, item in found.items()}
        effects[proxy.name] = settings_of(snapshot, proxy.namespace, dict(proxy.labels))
    if kind == "WorkloadGroup":
        effects["member"] = _member(obj)
    return Seen(effects, set(check_object(obj, snapshot)))


def _beside(kind: str) -> list[dict[str, Any]]:
    """A second EnvoyFilter, so that there is an order."""
    if kind != "EnvoyFilter":
        return []
    value = {"operation": "MERGE", "value": {"connect_timeout": "66s"}}
    name = "outbound|9080||ratings.default.svc.cluster.local"
    patch = {"applyTo": "CLUSTER", "match": {"cluster": {"name": name}}, "patch": value}
    other = _object(kind, {"configPatches": [patch], "priority": 3})
    return [{**other, "metadata": {**other["metadata"], "name": "other"}}]


def _member(group: dict[str, Any]) -> Any:
    labels = {"app": "guest"}
    template = {"metadata": {"labels": dict(labels)}, "spec": {"containers": [{"name": "guest"}]}}
    metadata = {"name": "guest", "namespace": "default", "uid": "1"}
    deployment = {"metadata": metadata, "spec": {"selector": {"matchLabels": dict(labels)}, "template": template}}
    entry = workload_entry(group, deployment, "10.97.1.1")
    return entry, member_deployment(copy.deepcopy(deployment), group)


@pytest.mark.parametrize("kind", sorted(schemas()))
def test_every_field_of_the_schema_is_in_the_table(kind: str) -> None:
    known = [row.path for row in rows(kind)]
    assert len(known) == len(set(known)), "a field is there twice"
    assert sorted(set(leaves(schemas()[kind])) - set(known)) == []
    assert sorted(set(known) - set(leaves(schemas()[kind]))) == []


ROWS = [row for kind in KINDS for row in rows(kind)]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.kind}.{row.path}" for row in ROWS])
def test_every_field_has_an_effect_or_is_reported(row: Row) -> None:
    without, with_it = observe(row.kind, row.without), observe(row.kind, row.with_it)
    new = with_it.findings - without.findings
    if row.in_force:
        assert with_it.effects != without.effects, f"it changes nothing; findings: {sorted(map(str, new))}"
    else:
        name = row.path.rpartition(".")[2].rstrip("[]{}")
        named = [finding for finding in new if name in finding.path]
        assert named, f"no finding names it: {sorted(map(str, new))}"
        assert all(finding.hint for finding in named), "a finding says the way out"


@pytest.mark.parametrize("page", ["docs/guides/reach.md", "docs/ko/guides/reach.md"])
def test_the_pages_name_every_field_that_is_not_in_force(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    names = {row.path.rpartition(".")[2].rstrip("[]{}") for row in ROWS if not row.in_force}
    assert {name for name in names if name.removesuffix("s") not in text} == set()
