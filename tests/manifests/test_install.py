"""What is installed, in both forms: golden/<form>.yaml. `make golden` rewrites them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

import kaiki
from kaiki.cli.console import command as console_command
from kaiki.manifests import InstallSettings, Platform, Profile, addon_manifests, install_manifests, write_yaml
from kaiki.manifests.settings import ConsoleOptions, OidcOptions

GOLDEN = Path(__file__).parent / "golden"
ADDONS = Path(__file__).parents[2] / "samples" / "addons"
LOCAL = InstallSettings(
    version="0.1.0",
    platform=Platform.LOCAL,
    console_token="not-a-secret",
    gateway_arguments=("--config-yaml", '{"node":{"id":"router~$(POD_IP)~$(POD_NAME)"}}', "--concurrency", "1"),
    metrics_folder="/home/someone/.kaiki/metrics",
)
CURRENT = replace(LOCAL, version=kaiki.__version__)
CLUSTER = replace(LOCAL, platform=Platform.KUBERNETES, metrics_folder="")
FORMS = {"local": LOCAL, "cluster": CLUSTER}
WORKLOADS = ("istiod", "istio-ingressgateway", "prometheus", "kiali")


def compare(text: str, golden: Path) -> None:
    if os.environ.get("KAIKI_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name)


@pytest.mark.parametrize("form", FORMS)
def test_installed_objects_equal_golden(form: str) -> None:
    compare(write_yaml(install_manifests(FORMS[form])), GOLDEN / f"{form}.yaml")


@pytest.mark.parametrize("form", FORMS)
def test_kubernetes_accepts_every_object(form: str) -> None:
    for one in install_manifests(FORMS[form]):
        kubernetes_validate.validate(one, "1.32", strict=True)


@pytest.mark.parametrize("form", FORMS)
def test_names_are_unique_and_selectors_match_their_pods(form: str) -> None:
    objects = install_manifests(FORMS[form])
    keys = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(set(keys)) == len(keys)
    accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    pods = []
    for name in WORKLOADS:
        spec = named(objects, "Deployment", name)["spec"]
        pods.append(spec["template"]["metadata"]["labels"])
        assert spec["selector"]["matchLabels"].items() <= pods[-1].items()
        assert spec["template"]["spec"]["serviceAccountName"] in accounts
    for one in objects:
        if one["kind"] == "Service":
            selected = [labels for labels in pods if one["spec"]["selector"].items() <= labels.items()]
            assert len(selected) == 1, one["metadata"]["name"]


def test_profiles_contain_each_other() -> None:
    kinds = {}
    for profile in Profile:
        objects = install_manifests(replace(CLUSTER, profile=profile))
        kinds[profile] = [one["metadata"]["name"] for one in objects if one["kind"] == "Deployment"]
        assert named(objects, "Secret", "kaiki-console")["stringData"] == {"token": "not-a-secret"}
    assert kinds == {
        Profile.DEFAULT: list(WORKLOADS),
        Profile.DEMO: list(WORKLOADS),
        Profile.MINIMAL: ["istiod"],
        Profile.EMPTY: [],
    }


def test_the_demo_has_an_egress_gateway_tcp_ports_and_access_logs() -> None:
    settings = replace(
        LOCAL, profile=Profile.DEMO, egress_arguments=("--concurrency", "1"), mesh_config={"enableTracing": False}
    )
    objects = install_manifests(settings)
    for one in objects:
        kubernetes_validate.validate(one, "1.32", strict=True)
    ingress = named(objects, "Service", "istio-ingressgateway")["spec"]
    assert {port["name"]: port["port"] for port in ingress["ports"]}["tcp"] == 31400
    egress = named(objects, "Service", "istio-egressgateway")["spec"]
    assert "type" not in egress and egress["selector"]["istio"] == "egressgateway"
    container = named(objects, "Deployment", "istio-egressgateway")["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["--concurrency", "1"]
    mesh = yaml.safe_load(named(objects, "ConfigMap", "istio")["data"]["mesh"])
    assert mesh["accessLogFile"] == "/dev/stdout" and mesh["enableTracing"] is False


def test_definitions_are_installed_before_anything_uses_them() -> None:
    definition = {"kind": "CustomResourceDefinition", "metadata": {"name": "gateways.networking.istio.io"}}
    objects = install_manifests(replace(CLUSTER, definitions=(definition,)))
    assert objects[0]["kind"] == "Namespace" and objects[1] == definition


@pytest.mark.parametrize("file_name", ["prometheus.yaml", "kiali.yaml"])
def test_addon_files_are_what_the_renderer_writes(file_name: str) -> None:
    header = "# Written by kaiki.manifests; applied over a running installation it changes nothing.\n"
    compare(header + write_yaml(addon_manifests(CURRENT)[file_name]), ADDONS / file_name)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("file_name", ["prometheus.yaml", "kiali.yaml"])
def test_addons_say_nothing_that_the_installation_does_not_say(file_name: str, form: str) -> None:
    """`kubectl apply` adds and changes what a file says and leaves the rest: so it must be a part of what runs."""
    installed = install_manifests(replace(FORMS[form], version=kaiki.__version__))
    for one in yaml.safe_load_all((ADDONS / file_name).read_text()):
        assert is_part(one, named(installed, one["kind"], one["metadata"]["name"]))


@pytest.mark.parametrize("file_name", ["prometheus.yaml", "kiali.yaml"])
def test_addons_name_no_volume(file_name: str) -> None:
    """Volumes merge with retainKeys: one named without its source would take the source of the installed one away, and
    kubectl calls an object changed of which it is told any."""
    assert "volume" not in (ADDONS / file_name).read_text()


def is_part(small: Any, whole: Any) -> bool:
    if isinstance(small, dict):
        return isinstance(whole, dict) and all(key in whole and is_part(small[key], whole[key]) for key in small)
    if isinstance(small, list):
        return len(small) == len(whole) and all(map(is_part, small, whole))
    return bool(small == whole)


def test_a_console_may_act_as_others_only_where_that_is_chosen() -> None:
    def rights(**chosen: Any) -> list[Any]:
        oidc = OidcOptions("https://id.example.org", "kaiki", **chosen)
        objects = install_manifests(replace(CLUSTER, console=ConsoleOptions(oidc=oidc)))
        rules = named(objects, "ClusterRole", "kiali-istio-system")["rules"]
        return [rule for rule in rules if "impersonate" in rule["verbs"]]

    assert rights() == []
    assert [rule["resources"] for rule in rights(acts_by="impersonate")] == [["users"], ["groups"]]
    limited = rights(acts_by="impersonate", groups=("readers",), groups_prefix="oidc:")
    assert limited[1]["resourceNames"] == ["oidc:readers"]


def test_a_console_with_accounts_is_told_all_of_it_and_no_secret() -> None:
    oidc = OidcOptions(
        "https://id.example.org", "kaiki", ca_key="ca.crt", scopes=("openid", "groups"), groups=("readers",)
    )
    console = ConsoleOptions(external_url="https://mesh.example.org", session_hours=8, oidc=oidc)
    pod = named(install_manifests(replace(CLUSTER, console=console)), "Deployment", "kiali")["spec"]["template"]["spec"]
    command = CliRunner().invoke(console_command, [*pod["containers"][0]["args"][1:], "--help"])
    assert command.exit_code == 0, "the console knows every flag"
    assert "--oidc-client-secret-file=/var/run/secrets/oidc/client-secret" in pod["containers"][0]["args"]
    assert pod["volumes"] == [{"name": "oidc", "secret": {"secretName": "kaiki-console-oidc"}}]
