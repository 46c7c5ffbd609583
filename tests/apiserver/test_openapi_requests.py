"""Requests made up from the served OpenAPI documents, by schemathesis, against a server process over TLS.

No request makes the server fail; every refusal is a Status that says its code and reason; every success is what the
document says. The amount is bounded: each operation gets few examples, the same ones each time.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import orjson
import pytest
import requests

from kaiki.apiserver import credentials

PROGRAM = """
import asyncio, sys
from pathlib import Path
from kaiki.apiserver.server import ApiServerSettings, serve

asyncio.run(serve(ApiServerSettings(home=Path(sys.argv[1]), listen_fds=(int(sys.argv[2]),))))
"""
EXAMPLES = 3
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CHOSEN = [
    ("api/v1", ("configmaps", "services", "namespaces")),
    ("apis/apps/v1", ("deployments",)),
    ("apis/networking.istio.io/v1", ("virtualservices", "destinationrules")),
]
NOT_HERE = ("/log", "/exec", "/attach", "/portforward", "/proxy", "/token")
SUCCESS_KINDS = ("Status", "APIResourceList")


class Server:
    """A running `kaiki apiserver` and how to reach it."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(credentials.pki_folder(home) / "ca.crt")
        self.session.headers["Authorization"] = f"Bearer {credentials.admin_token(home)}"

    def document(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = self.session.get(f"{self.url}/openapi/v3/{path}").json()
        return document


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from kaiki.resources.crds import custom_resource_definitions

    home = tmp_path_factory.mktemp("home")
    credentials.ensure_credentials(home)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        command = [sys.executable, "-c", PROGRAM, str(home), str(listener.fileno())]
        with subprocess.Popen(command, pass_fds=(listener.fileno(),)) as process:
            running = Server(f"https://127.0.0.1:{listener.getsockname()[1]}", home)
            try:
                used = {plural for _, plurals in CHOSEN for plural in plurals}
                wanted = [each for each in custom_resource_definitions() if each["spec"]["names"]["plural"] in used]
                for definition in wanted:
                    running.session.post(running.url + DEFINITIONS, json=definition).raise_for_status()
                yield running
                assert process.poll() is None
            finally:
                running.session.close()
                process.terminate()


def chosen(document: dict[str, Any], plurals: tuple[str, ...]) -> dict[str, Any]:
    """The document with the paths of these kinds only, and without watches."""
    paths = {
        path: methods
        for path, methods in document["paths"].items()
        if any(part in plurals for part in path.split("/")) and not path.endswith(NOT_HERE)
    }
    assert paths
    return {**document, "paths": {path: without_watch(methods) for path, methods in paths.items()}}


def without_watch(methods: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for method, operation in methods.items():
        if isinstance(operation, dict):
            kept = [each for each in operation.get("parameters", []) if each.get("name") != "watch"]
            operation = {**operation, "parameters": kept}
        found[method] = operation
    return found


def check(case: Any, response: Any) -> None:
    asked = f"{case.method} {response.request.url} {response.request.body!r}"
    told = f"{asked}: {response.status_code} {response.content[:500]!r}"
    assert response.status_code < 500 or response.status_code == 504, told
    answer = orjson.loads(response.content)
    if response.status_code >= 400:
        assert (answer["kind"], answer["apiVersion"], answer["status"]) == ("Status", "v1", "Failure"), told
        assert answer["code"] == response.status_code, told
        assert answer["reason"] and answer["message"], told
        return
    assert answer["kind"], told
    identity = case.operation.definition.raw.get("x-kubernetes-group-version-kind")
    if identity and answer["kind"] not in SUCCESS_KINDS:
        group = f"{identity['group']}/{identity['version']}" if identity["group"] else identity["version"]
        assert answer["apiVersion"] in (group, "autoscaling/v1"), told
        assert answer["kind"].removesuffix("List") in (identity["kind"], "Scale"), told


@pytest.mark.parametrize(("path", "plurals"), CHOSEN, ids=[path for path, _ in CHOSEN])
@pytest.mark.filterwarnings("ignore")
def test_whatever_the_document_allows_is_answered(server: Server, path: str, plurals: tuple[str, ...]) -> None:
    import schemathesis

    schema = schemathesis.openapi.from_dict(chosen(server.document(path), plurals))
    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            if isinstance(case.path_parameters, dict) and "namespace" in case.path_parameters:
                case.path_parameters["namespace"] = "default"
            response = case.call(base_url=server.url, session=server.session, verify=server.session.verify)
            check(case, response)

        ask()
