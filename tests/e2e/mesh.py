"""A whole mesh for a test: its own home, free ports, the real kubectl; and ways to ask it things."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "samples"
BINARIES = Path(sys.executable).parent
COMMAND_TIMEOUT_SECONDS = 180.0


class CommandError(AssertionError):
    """A command ended badly; the text has all it printed."""


class Mesh:
    """A mesh started from a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "USER") if name in os.environ},
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "KAIKI_HOME": str(home),
        }

    def kaiki(self, *arguments: str, check: bool = True, timeout: float = COMMAND_TIMEOUT_SECONDS) -> str:
        """Run the `kaiki` command; answers its standard output."""
        return self.command(sys.executable, "-m", "kaiki", *arguments, check=check, timeout=timeout)

    def kubectl(self, *arguments: str, check: bool = True, given: str | None = None) -> str:
        """Run the real kubectl against this mesh; `given` is its standard input."""
        program = str(BINARIES / "kubectl")
        return self.command(program, *arguments, check=check, given=given, kubeconfig=True)

    def command(
        self,
        *arguments: str,
        check: bool = True,
        given: str | None = None,
        timeout: float = COMMAND_TIMEOUT_SECONDS,
        kubeconfig: bool = False,
    ) -> str:
        environment = self.environment | ({"KUBECONFIG": str(self.home / "kubeconfig")} if kubeconfig else {})
        done = subprocess.run(
            arguments,
            env=environment,
            cwd=REPOSITORY,
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise CommandError(f"{' '.join(arguments)}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def up(self) -> None:
        """Start and install."""
        self.kaiki("up", "--detach")
        self.environment |= self.exports()

    def down(self) -> None:
        """Stop, whatever state it is in, and forget."""
        self.kaiki("down", check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def exports(self) -> dict[str, str]:
        """What `kaiki env` prints, as a mapping."""
        lines = self.kaiki("env").splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in lines)
        return {name: value.strip("'") for name, _, value in pairs}

    @property
    def gateway(self) -> str:
        return self.environment["KAIKI_GATEWAY_URL"]

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """`kubectl get … -o json` as objects."""
        document = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        items: list[dict[str, Any]] = document.get("items", [document])
        return items

    def pods(self, namespace: str = "default", selector: str = "") -> list[dict[str, Any]]:
        """The pods that are not being deleted."""
        arguments = ["pods", "-n", namespace, *(["-l", selector] if selector else [])]
        return [pod for pod in self.objects(*arguments) if "deletionTimestamp" not in pod["metadata"]]

    def get(self, url: str, headers: Mapping[str, str] | None = None, timeout: float = 20.0) -> tuple[int, str]:
        """One GET on the loopback: status and text. An answer of any status is an answer; no answer raises OSError."""
        request = urllib.request.Request(url, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, response.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant PromQL query: the vector."""
        url = f"{self.environment['KAIKI_METRICS_URL']}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        status, text = self.get(url)
        assert status == 200, text
        result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return result

    def value(self, expression: str) -> float:
        """The value of a query with one result; 0 where there is none."""
        result = self.query(expression)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else 0.0

    def console(self, path: str) -> Any:
        """An answer of the console's API."""
        headers = {"Authorization": f"Bearer {self.environment['KAIKI_CONSOLE_TOKEN']}"}
        status, text = self.get(self.environment["KAIKI_CONSOLE_URL"] + path, headers)
        assert status == 200, text
        return json.loads(text)

    def graph(self, duration: str = "60s", namespaces: str = "") -> dict[str, Any]:
        """The traffic graph."""
        graph: dict[str, Any] = self.console(f"/api/graph?namespaces={namespaces}&duration={duration}")
        return graph

    def deploy_bookinfo(self) -> None:
        """Bookinfo in `default`, injected, behind the gateway, ready to answer."""
        self.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
        self.kubectl("apply", "-f", "samples/bookinfo/platform/bookinfo.yaml")
        self.kubectl("apply", "-f", "samples/bookinfo/networking/bookinfo-gateway.yaml")
        self.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s")
        wait_until(lambda: self.get(f"{self.gateway}/productpage")[0] == 200, "the product page answers")


def wait_until(
    condition: Callable[[], bool], what: str, timeout_seconds: float = 60.0, every_seconds: float = 0.2
) -> None:
    """Return as soon as `condition` holds; an OSError counts as not yet."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(every_seconds)
    raise AssertionError(f"not within {timeout_seconds:.0f} s: {what}")


def chromium() -> str | None:
    """A browser for the tests, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
