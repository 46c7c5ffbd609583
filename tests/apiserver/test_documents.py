"""Discovery, OpenAPI, tables and protobuf: what clients read before they do anything."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.apiserver.durations import shorten
from kaiki.apiserver.protobuf import check_tables
from kaiki.apiserver.tables import find_path, parse_path

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_both_forms_of_discovery_agree(api: Any) -> None:
    _, new = await api.get("/apis", accept=AGGREGATED)
    _, old = await api.get("/apis")
    assert [each["metadata"]["name"] for each in new["items"]] == [each["name"] for each in old["groups"]]
    for group in new["items"]:
        for version in group["versions"]:
            _, listed = await api.get(f"/apis/{group['metadata']['name']}/{version['version']}")
            plain = {each["name"] for each in listed["resources"] if "/" not in each["name"]}
            assert plain == {each["resource"] for each in version["resources"]}


async def test_every_openapi_document_is_there_and_closed(api: Any) -> None:
    _, index = await api.get("/openapi/v3")
    assert "api/v1" in index["paths"]
    for entry in index["paths"].values():
        code, document = await api.get(entry["serverRelativeURL"])
        assert code == 200
        schemas = document["components"]["schemas"]
        assert references(document) <= {f"#/components/schemas/{name}" for name in schemas}


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*(references(item) for item in value.values()))


async def test_tables_have_as_many_cells_as_columns(api: Any) -> None:
    _, discovered = await api.get("/api/v1")
    await api.post("/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": {"containers": [POD]}})
    for resource in discovered["resources"]:
        if "list" in resource["verbs"]:
            _, table = await api.get(f"/api/v1/{resource['name']}", accept=TABLE)
            assert table["kind"] == "Table"
            assert {len(row["cells"]) for row in table["rows"]} <= {len(table["columnDefinitions"])}


POD = {"name": "main", "image": "web:1"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (185, "3m5s"), (3600, "60m"), (4 * 3600 + 60, "4h1m"), (3 * 86400, "3d")],
)
def test_ages_are_short(seconds: int, text: str) -> None:
    assert shorten(seconds) == text


def test_printer_column_paths() -> None:
    value = {"a": {"b.c": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}}
    assert find_path(value, parse_path('.a.b\\.c[?(@.type=="Ready")].status')) == ["True"]
    assert find_path(value, parse_path(".a['b.c'][*].type")) == ["Ready", "Other"]
    assert find_path(value, parse_path(".a['b.c'][1].status")) == ["False"]
    assert find_path(value, parse_path(".missing.b")) == []


def test_protobuf_tables_describe_every_type_they_name() -> None:
    assert check_tables() == []
