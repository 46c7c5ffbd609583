"""Things are killed under load; traffic goes on, they come back, and the launcher's end leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from load import SteadyLoad
from mesh import Mesh, wait_until
from processes import Process, all_processes, descendants, mounts_below

pytestmark = pytest.mark.e2e


# What a user is told to do about each file of the home that cannot be used.
DAMAGED = {
    "api.sqlite": ".recover",
    "pki/server.crt": "new ones are made at the next start",
    "pki/service-account.key": "new ones are made at the next start",
}


def launcher(mesh: Mesh) -> int:
    """The launcher's process number."""
    number: int = json.loads(mesh.kaiki("status", "-o", "json"))["pid"]
    return number


def find(mesh: Mesh, matches: Callable[[Process], bool]) -> Process:
    """The one process of the mesh that matches."""
    found = [process for process in descendants(launcher(mesh)) if matches(process)]
    assert len(found) == 1, found
    return found[0]


def kill(process: Process) -> None:
    os.kill(process.number, signal.SIGKILL)


def test_traffic_goes_on_without_the_control_plane(bookinfo: Mesh) -> None:
    with SteadyLoad(f"{bookinfo.gateway}/productpage") as load:
        load.wait_for_more(20)
        old = find(bookinfo, lambda process: "kaiki control-plane" in process.command)
        kill(old)
        load.wait_for_more(60)
        bookinfo.kubectl(
            "wait", "-n", "istio-system", "--for=condition=Available", "deployment/istiod", "--timeout=60s"
        )
        load.wait_for_more(40)
    assert load.failures == {}
    assert find(bookinfo, lambda process: "kaiki control-plane" in process.command).number != old.number
    # The new one steers the proxies as the old one did.
    route = {"metadata": {"annotations": {"test": "touched"}}}
    bookinfo.kubectl("patch", "virtualservice", "bookinfo", "--type=merge", "-p", json.dumps(route))
    assert bookinfo.get(f"{bookinfo.gateway}/productpage")[0] == 200


def test_traffic_goes_on_without_the_api_server(bookinfo: Mesh) -> None:
    with SteadyLoad(f"{bookinfo.gateway}/productpage") as load:
        load.wait_for_more(10)
        kill(find(bookinfo, lambda process: "kaiki apiserver" in process.command))
        load.wait_for_more(40)
    assert load.failures == {}
    wait_until(lambda: "productpage" in bookinfo.kubectl("get", "deployments", check=False), "the API is back", 30)
    assert len(bookinfo.pods()) == 6


def test_a_killed_envoy_comes_back(bookinfo: Mesh) -> None:
    before = bookinfo.pods(selector="app=details")[0]
    kill(find(bookinfo, lambda process: is_sidecar_of(process, before["metadata"]["name"])))
    wait_until(lambda: restarts(bookinfo, "app=details", "istio-proxy") == 1, "the sidecar was restarted")
    wait_until(lambda: "Book Details" in bookinfo.get(f"{bookinfo.gateway}/productpage")[1], "details answers again")


def test_a_killed_application_comes_back(bookinfo: Mesh) -> None:
    kill(find(bookinfo, lambda process: process.command.endswith("ratings.py")))
    wait_until(lambda: restarts(bookinfo, "app=ratings", "ratings") == 1, "the application was restarted")
    bookinfo.kubectl("wait", "pod", "-l", "app=ratings", "--for=condition=Ready", "--timeout=60s")


def is_sidecar_of(process: Process, pod: str) -> bool:
    """Whether this is the Envoy of a pod: its name stands in the bootstrap on the command line."""
    return "--config-yaml" in process.command and pod in process.command


def restarts(mesh: Mesh, selector: str, container: str) -> int:
    """How often a container of the one pod was restarted."""
    status = mesh.pods(selector=selector)[0]["status"]
    statuses = status["containerStatuses"] + status.get("initContainerStatuses", [])
    return next(int(entry["restartCount"]) for entry in statuses if entry["name"] == container)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_launchers_end_leaves_nothing(home: Path, number: signal.Signals) -> None:
    mesh = Mesh(home)
    mesh.up()
    mesh.deploy_bookinfo()
    root = launcher(mesh)
    below = {process.number for process in descendants(root)}
    assert len(below) > 20
    os.kill(root, number)
    wait_until(lambda: not below & {process.number for process in all_processes()}, "all processes ended", 60)
    assert mounts_below(home) == []
    assert "no mesh runs" in mesh.kaiki("status", check=False)


def test_a_mesh_starts_again_from_its_home_and_says_what_is_damaged(home: Path) -> None:
    mesh = Mesh(home)
    mesh.up()
    mesh.deploy_bookinfo()
    os.kill(launcher(mesh), signal.SIGKILL)
    wait_until(lambda: "no mesh runs" in mesh.kaiki("status", check=False), "the mesh has ended")
    mesh.up()
    wait_until(lambda: mesh.get(f"{mesh.gateway}/productpage")[0] == 200, "the product page answers again")
    mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
    mesh.kaiki("down")
    for name, advice in DAMAGED.items():
        whole = (home / name).read_bytes()
        (home / name).write_bytes(b"not what it was\n")
        said = mesh.kaiki("up", "--detach", check=False)
        assert str(home / name) in said and "cannot be" in said and advice in said, said
        (home / name).write_bytes(whole)
    series = home / "metrics" / "series.sqlite"
    for path in home.glob("metrics/series.sqlite*"):  # its log too, which alone would mend it
        path.write_bytes(b"not what it was\n" * 1000)
    mesh.up()
    wait_until(series.with_name("series.sqlite.broken").exists, "the samples are set aside")
    assert "was set aside" in mesh.kubectl("logs", "-n", "istio-system", "deployment/prometheus")
    assert mesh.objects("deployments", "-n", "default"), "nothing but the samples was lost"


def test_two_meshes_run_side_by_side(bookinfo: Mesh, home: Path) -> None:
    second = Mesh(home)
    second.up()
    shared = set(second.exports().items()) & set(bookinfo.exports().items())
    assert {name for name, _ in shared} <= {"KAIKI_SAMPLES"}
    assert second.objects("deployments", "-n", "default") == []
    assert bookinfo.get(f"{bookinfo.gateway}/productpage")[0] == 200


@pytest.mark.parametrize("how", ["interrupt", "down"])
def test_demo_stops_with_its_terminal_and_with_its_mesh(home: Path, how: str) -> None:
    mesh = Mesh(home)
    command = [sys.executable, "-m", "kaiki", "demo"]
    with subprocess.Popen(command, env=mesh.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        below = {entry.number for entry in descendants(launcher(mesh))}
        if how == "down":
            mesh.kaiki("down")
        else:
            process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 0, rest
    assert not below & {entry.number for entry in all_processes()}
