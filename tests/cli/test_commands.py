"""The command line without a mesh: help, exit codes, and mistakes that are explained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kaiki.app.guest import Guest, deployment, escape
from kaiki.app.home import Home, HomeError
from kaiki.app.installation import local_settings, remember_console
from kaiki.cli.console_settings import console_options
from kaiki.cli.install import Choices, parse_settings
from kaiki.cli.main import COMMANDS, INTERNAL
from kaiki.cli.status import summarise_pods
from kaiki.manifests.settings import ConsoleOptions, OidcOptions


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KAIKI_HOME": str(home)}
    command = [sys.executable, "-m", "kaiki", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


# These pass all their arguments, --help included, to the program behind them.
WRAPPERS = ("kubectl", "redirect")


@pytest.mark.parametrize("name", [name for name in (*COMMANDS, *INTERNAL) if name not in WRAPPERS])
def test_every_command_has_help(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: kaiki " + name in done.stdout


def test_status_without_a_mesh_exits_with_3(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "-o", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {"running": False, "home": str(tmp_path)}


def test_a_failed_command_exits_with_1_and_says_the_way_out(tmp_path: Path) -> None:
    done = run(tmp_path, "env")
    assert done.returncode == 1
    assert "kaiki up" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    assert run(tmp_path, "nonsense").returncode == 2
    assert run(tmp_path, "install", "--set", "colour=red").returncode == 2


def test_settings_are_parsed() -> None:
    assert parse_settings(("profile=minimal",)) == Choices("minimal")
    asked = parse_settings(
        (
            "profile=default",
            "meshConfig.accessLogFile=/dev/stdout",
            "meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY",
            "components.egressGateways[0].name=istio-egressgateway",
            "components.egressGateways[0].enabled=true",
        )
    )
    mesh = {"accessLogFile": "/dev/stdout", "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    assert asked == Choices("default", True, mesh)


def test_settings_of_the_console_are_parsed() -> None:
    issuer = "https://id.example.org"
    given = (f"console.oidc.issuer={issuer}", "console.oidc.clientId=kaiki", "console.oidc.groups=readers,writers")
    asked = parse_settings((*given, "console.externalUrl=https://mesh.example.org", "console.sessionHours=8"))
    options = console_options(asked.console, read_only=False)
    assert options.oidc == OidcOptions(issuer, "kaiki", groups=("readers", "writers"))
    assert (options.external_url, options.session_hours) == ("https://mesh.example.org", 8)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("console.oidc.isuer=x", "console.oidc.issuer"),
        ("console.oidc.clientId=kaiki", "belong together"),
        ("console.oidc.identity=root", "token or impersonate"),
        ("console.externalUrl=https://a.example/kaiki", "without a path"),
    ],
)
def test_half_a_login_is_refused_before_anything_is_installed(given: str, told: str) -> None:
    with pytest.raises(click.UsageError, match=told):
        console_options(parse_settings((given,)).console, read_only=False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--oidc-issuer=https://id.example.org"], "belong together"),
        (["--oidc-issuer=http://id.example.org", "--oidc-client-id=kaiki"], "no https address"),
        (["--external-url=https://mesh.example.org/kaiki"], "paths are not kept"),
    ],
)
def test_half_a_login_starts_no_console(tmp_path: Path, given: list[str], told: str) -> None:
    done = run(tmp_path, "console", *given)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_what_was_closed_stays_closed_at_the_next_start(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    assert local_settings(home).console == ConsoleOptions()
    chosen = ConsoleOptions(read_only=True, oidc=OidcOptions("https://id.example.org", "kaiki", groups=("readers",)))
    remember_console(home, chosen)
    assert local_settings(home).console == chosen
    home.console_options.write_text("{")
    with pytest.raises(HomeError, match="kaiki install"):
        local_settings(home)


def test_a_home_that_cannot_be_written_names_the_variable() -> None:
    with pytest.raises(HomeError, match="KAIKI_HOME /proc/none"):
        Home(Path("/proc/none")).prepare()


def test_a_home_too_deep_for_sockets_is_refused_with_the_limit(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="shorter"):
        Home(tmp_path / ("a" * 110)).prepare()


def test_a_guests_words_are_not_expanded() -> None:
    guest = Guest("a", "default", "v1", 80, "http", ("sh", "-c", "echo $(HOME) $HOME"), "/", (), 1000)
    container = deployment(guest)["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["sh", "-c", "echo $$(HOME) $HOME"]
    assert escape("plain") == "plain"


def test_pods_are_summed_up_by_workload() -> None:
    owner = {"kind": "ReplicaSet", "name": "web-abc"}

    def pod(name: str, ready: str, restarts: int) -> dict[str, object]:
        return {
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"pod-template-hash": "abc"},
                "ownerReferences": [owner],
            },
            "spec": {"initContainers": [{"name": "istio-proxy"}]},
            "status": {
                "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{"restartCount": restarts}],
            },
        }

    rows = summarise_pods([pod("web-abc-1", "True", 0), pod("web-abc-2", "False", 2)])
    assert rows == [{"namespace": "default", "workload": "web", "pods": 2, "ready": 1, "sidecars": 2, "restarts": 2}]


REFUSING = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --no-new-privs "


def test_a_machine_that_refuses_namespaces_is_explained(tmp_path: Path) -> None:
    """A shell without rights, in which no further namespace can be made, stands for a locked-down machine."""
    script = f"{REFUSING} {sys.executable} -m kaiki up --detach"
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script]
    if subprocess.run([*command[:3], "true"], check=False, capture_output=True).returncode:
        pytest.skip("user namespaces are refused on this machine: there is nothing to take away")
    environment = {**os.environ, "KAIKI_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "the mesh did not start" in done.stderr
    assert "✘ mount namespace" in done.stderr
    assert "→" in done.stderr
