"""The samples' YAML fits together: names, subsets, images, files."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from kaiki.app.definitions import definitions
from kaiki.runtime.images import find_entry, read_image_map

SAMPLES = Path(__file__).parents[2] / "samples"
FILES = sorted(
    [
        *(SAMPLES / "bookinfo").rglob("*.yaml"),
        *(SAMPLES / "tcp-echo").rglob("*.yaml"),
        *(SAMPLES / "echo").glob("*.yaml"),
        *(path for name in ("httpbin", "curl", "sleep", "helloworld") for path in (SAMPLES / name).rglob("*.yaml")),
    ]
)
ENTRIES = read_image_map(SAMPLES / "images.yaml")
IMAGES: list[dict[str, Any]] = yaml.safe_load((SAMPLES / "images.yaml").read_text())


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def identity(path: Path) -> str:
    return str(path.relative_to(SAMPLES))


@pytest.mark.parametrize("path", FILES, ids=identity)
def test_kubernetes_accepts_its_own_kinds(path: Path) -> None:
    for one in documents(path):
        assert one["metadata"].get("name")
        if not one["apiVersion"].startswith(("networking.istio.io/", "gateway.networking.k8s.io/")):
            kubernetes_validate.validate(one, "1.32", strict=True)


@pytest.mark.parametrize("path", FILES, ids=identity)
def test_every_image_has_a_command_on_this_machine(path: Path) -> None:
    for one in documents(path):
        if one["kind"] == "Deployment":
            for container in one["spec"]["template"]["spec"]["containers"]:
                assert find_entry(ENTRIES, container["image"]), container["image"]


def test_routes_of_the_gateway_api_name_services_that_exist() -> None:
    folder = SAMPLES / "bookinfo" / "platform"
    known = {
        one["metadata"]["name"]
        for file in ("bookinfo.yaml", "bookinfo-versions.yaml")
        for one in documents(folder / file)
        if one["kind"] == "Service"
    }
    for path in (SAMPLES / "bookinfo" / "gateway-api").glob("*.yaml"):
        for one in documents(path):
            for rule in one["spec"].get("rules", ()):
                assert {ref["name"] for ref in rule["backendRefs"]} <= known


def test_programs_of_the_image_map_exist() -> None:
    for entry in IMAGES:
        programs = [part for words in entry.get("programs", {}).values() for part in words]
        for part in [*entry.get("command", []), *programs]:
            if part.startswith("{samples}/"):
                assert (SAMPLES / part.removeprefix("{samples}/")).is_file(), part


def test_public_names_of_the_samples_are_known() -> None:
    for name in ("productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"):
        public = f"example.com/istio/examples-bookinfo-{name}:1.20"
        (entry,) = [entry for entry in IMAGES if fnmatch.fnmatch(public, entry["image"])]
        assert entry["ignoreArgs"]


def test_routes_name_subsets_that_exist() -> None:
    rules = documents(SAMPLES / "bookinfo" / "networking" / "destination-rule-all.yaml")
    subsets = {(rule["spec"]["host"], subset["name"]) for rule in rules for subset in rule["spec"]["subsets"]}
    deployments = documents(SAMPLES / "bookinfo" / "platform" / "bookinfo.yaml")
    labels = [one["metadata"]["labels"] for one in deployments if one["kind"] == "Deployment"]
    assert subsets == {(found["app"], found["version"]) for found in labels}
    for path in (SAMPLES / "bookinfo" / "networking").glob("virtual-service-*.yaml"):
        for one in documents(path):
            for route in one["spec"]["http"]:
                weights = [destination.get("weight", 100) for destination in route["route"]]
                assert sum(weights) == 100
                for destination in route["route"]:
                    assert (destination["destination"]["host"], destination["destination"]["subset"]) in subsets


@pytest.mark.parametrize("path", FILES, ids=identity)
def test_our_definitions_accept_our_kinds(path: Path, schemas: dict[tuple[str, str], Any]) -> None:
    for one in documents(path):
        if "istio.io/" in one["apiVersion"] or "gateway.networking" in one["apiVersion"]:
            jsonschema_rs.validator_for(schemas[one["apiVersion"], one["kind"]]).validate(one)


@pytest.fixture(scope="module")
def schemas() -> dict[tuple[str, str], Any]:
    return {
        (f"{definition['spec']['group']}/{version['name']}", definition["spec"]["names"]["kind"]): version["schema"][
            "openAPIV3Schema"
        ]
        for definition in definitions()
        for version in definition["spec"]["versions"]
    }
