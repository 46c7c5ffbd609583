"""Mistakes are told clearly where they are made, and change nothing else."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from mesh import Mesh, wait_until

pytestmark = pytest.mark.e2e


def virtual_service(name: str, **spec: object) -> str:
    document = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
    return json.dumps(document)


def apply(mesh: Mesh, text: str) -> str:
    return mesh.kubectl("apply", "-f", "-", given=text, check=False)


def test_malformed_yaml_names_the_line(mesh: Mesh) -> None:
    assert "yaml" in apply(mesh, "apiVersion: v1\nkind: [Service").lower()


def test_an_unknown_field_is_named(mesh: Mesh) -> None:
    answer = apply(mesh, virtual_service("bad", hosts=["a.example"], htp=[]))
    assert 'unknown field "spec.htp"' in answer
    assert mesh.objects("virtualservices") == []


def test_a_wrong_type_is_named(mesh: Mesh) -> None:
    answer = apply(mesh, virtual_service("bad", hosts="a.example"))
    assert "spec.hosts" in answer
    assert "array" in answer
    assert mesh.objects("virtualservices") == []


def test_a_weight_that_cannot_be_is_refused_with_the_field(mesh: Mesh) -> None:
    route = [{"destination": {"host": "a"}, "weight": -1}]
    answer = apply(mesh, virtual_service("bad", hosts=["a"], http=[{"route": route}]))
    assert "spec.http[0].route[0].weight" in answer
    assert mesh.objects("virtualservices") == []


def test_a_host_that_does_not_exist_is_warned_of(mesh: Mesh) -> None:
    answer = apply(
        mesh, virtual_service("lost", hosts=["nowhere"], http=[{"route": [{"destination": {"host": "nowhere"}}]}])
    )
    assert "Warning:" in answer
    assert "nowhere" in answer
    assert "spec.http[0].route[0].destination.host" in answer
    mesh.kubectl("delete", "virtualservice", "lost")


def test_two_gateways_for_one_port_are_both_served_or_told_of(mesh: Mesh) -> None:
    for name, protocol in (("first", "HTTP"), ("second", "TCP")):
        gateway = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "selector": {"istio": "ingressgateway"},
                "servers": [{"port": {"number": 80, "name": name, "protocol": protocol}, "hosts": ["*"]}],
            },
        }
        answer = apply(mesh, json.dumps(gateway))
    assert "Warning:" in answer
    assert "first" in answer
    mesh.kubectl("delete", "gateways.networking.istio.io", "--all")


def test_an_unknown_image_is_explained_on_the_pod(mesh: Mesh) -> None:
    mesh.kubectl("run", "strange", "--image=registry.example/strange:1", "--labels=sidecar.istio.io/inject=false")
    wait_until(lambda: "ImagePull" in mesh.kubectl("get", "pod", "strange"), "the pod's status says what it waits for")
    description = mesh.kubectl("describe", "pod", "strange")
    assert "registry.example/strange:1" in description
    assert "images.yaml" in description
    mesh.kubectl("delete", "pod", "strange")


BOOTSTRAP_PATCHES = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: broken, namespace: started}
spec:
  configPatches:
  - applyTo: BOOTSTRAP
    patch: {operation: MERGE, value: {stats_flush_interval: 600s}}
  - applyTo: BOOTSTRAP
    patch: {operation: MERGE, value: {flags_path: /tmp/flags-of-broken}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: sound, namespace: started}
spec:
  configPatches:
  - applyTo: BOOTSTRAP
    patch: {operation: MERGE, value: {stats_flush_interval: 3s}}
"""


def test_a_pod_starts_without_the_patch_that_envoy_would_not_start_with(mesh: Mesh) -> None:
    mesh.kubectl("create", "namespace", "started")
    try:
        mesh.kubectl("label", "namespace", "started", "istio-injection=enabled")
        mesh.kubectl("apply", "-f", "-", given=BOOTSTRAP_PATCHES)
        mesh.kubectl("apply", "-n", "started", "-f", "samples/curl")
        mesh.kubectl("rollout", "status", "-n", "started", "deployment/curl", "--timeout=60s")
        ask = ("exec", "-n", "started", "deploy/curl", "-c", "istio-proxy", "--", "curl", "-s")
        begun = json.loads(mesh.kubectl(*ask, "http://127.0.0.1:15000/config_dump?mask=bootstrap"))
        (bootstrap,) = [one["bootstrap"] for one in begun["configs"] if "bootstrap" in one]
        assert (bootstrap["stats_flush_interval"], bootstrap["flags_path"]) == ("3s", "/tmp/flags-of-broken")
        status = ("get", "envoyfilter", "-n", "started", "-o", "json")
        wait_until(lambda: "KAI0703" in mesh.kubectl(*status, "broken"), "the refused patch is told of")
        told = mesh.kubectl(*status, "broken")
        assert "spec.configPatches[0].patch.value" in told and "StatsFlushInterval" in told
        assert "configPatches[1]" not in told
        assert "KAI07" not in mesh.kubectl(*status, "sound")
    finally:
        mesh.kubectl("delete", "namespace", "started", "--wait=false")


def test_wrong_usage_of_commands_is_explained(mesh: Mesh) -> None:
    assert "profile" in mesh.kaiki("install", "--set", "profile=huge", check=False)
    assert "a mesh already runs" in mesh.kaiki("up", "--detach", check=False)
    assert "Missing option '--port'" in mesh.kaiki("run", "a", "--", "true", check=False)


def test_commands_without_a_mesh_say_how_to_start_one(home: Path) -> None:
    assert "kaiki up" in Mesh(home).kaiki("env", check=False)


def test_a_home_that_cannot_be_written_is_named() -> None:
    """Below /proc nobody can make a folder, root neither."""
    answer = Mesh(Path("/proc/kaiki-home")).kaiki("up", "--detach", check=False)
    assert "/proc/kaiki-home" in answer
    assert "KAIKI_HOME" in answer


def test_a_home_that_is_a_file_is_named(home: Path) -> None:
    file = home / "file"
    file.touch()
    answer = Mesh(file).kaiki("up", "--detach", check=False)
    assert str(file) in answer
    assert "KAIKI_HOME" in answer


def hold(port: int) -> socket.socket | None:
    """Listen on a loopback port, unless somebody else does already and may stop any time."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return None
    holder.listen()
    return holder


def test_busy_ports_are_worked_around(home: Path) -> None:
    held = {port: holder for port in (6443, 8080, 20001, 9090) if (holder := hold(port)) is not None}
    mesh = Mesh(home)
    try:
        mesh.up()
        urls = json.loads(mesh.kaiki("status", "-o", "json"))["urls"]
        assert {"api", "gateway", "console", "metrics"} <= set(urls)
        assert not set(held) & {int(url.rpartition(":")[2]) for url in urls.values()}
    finally:
        for holder in held.values():
            holder.close()


def test_an_old_kubectl_works(mesh: Mesh) -> None:
    """The oldest kubectl at hand (the machine's own, where it has one) lists and applies."""
    program = next((path for path in ("/usr/bin/kubectl", "/usr/local/bin/kubectl") if Path(path).exists()), None)
    if program is None:
        pytest.skip("this machine has no kubectl of its own")
    arguments = (program, "--kubeconfig", str(mesh.home / "kubeconfig"))
    assert "istiod" in mesh.command(*arguments, "get", "pods", "-n", "istio-system")
    assert "configmap/old created" in mesh.command(*arguments, "create", "configmap", "old", "--from-literal=a=b")
    mesh.command(*arguments, "delete", "configmap", "old")
