"""Requests made up from the console's own OpenAPI document, by schemathesis, against a running console.

No request makes the console fail (a 5xx is only an outage that the document names), every refusal says what is wrong
in the form of the document, and every success is what the document says. The amount is bounded, and always the same.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import requests

TOKEN = "a-token-for-tests"
EXAMPLES = 12
FAKE = Path(__file__).parent / "fake_mesh.py"
PATIENCE_SECONDS = 60.0
DOCUMENT: dict[str, Any] = json.loads(resources.files("kaiki.console").joinpath("openapi.json").read_bytes())
STREAMS = frozenset({"/api/logs", "/api/events"})  # They end only when their reader goes.


@pytest.fixture(scope="module")
def console() -> Iterator[tuple[str, requests.Session]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, session = f"http://127.0.0.1:{port}", requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    with subprocess.Popen([sys.executable, str(FAKE), "--port", str(port), "--token", TOKEN]) as process:
        try:
            _wait(lambda: session.get(f"{url}/api/namespaces").json()["warnings"] == [])
            yield url, session
            assert process.poll() is None
        finally:
            session.close()
            process.terminate()


def _wait(ready: Any) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if ready():
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < until, "the console did not come"
        time.sleep(0.05)


def operations() -> list[tuple[str, str]]:
    return [
        (path, method)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method in ("get", "post", "put", "delete") and path not in STREAMS
    ]


def answers_of(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]["responses"]
    return found


def schema_of(answer: dict[str, Any]) -> dict[str, Any] | None:
    """What a documented answer's JSON must be, by itself; None for an answer without any."""
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    return None if schema is None else {**schema, "components": DOCUMENT["components"]}


def check(path: str, method: str, response: Any) -> None:
    told = f"{method} {response.request.url} {response.request.body!r}: {response.status_code} {response.text[:500]}"
    documented = answers_of(path, method)
    answer = documented.get(str(response.status_code))
    assert answer is not None, f"the document does not name this status: {told}"
    schema = schema_of(answer)
    if schema is None:
        return
    assert response.headers["content-type"][0].startswith("application/json"), told
    problems = [str(each) for each in jsonschema_rs.validator_for(schema).iter_errors(response.json())]
    assert not problems, f"{told}\n{problems[0]}"
    if response.status_code >= 400:
        assert response.json()["error"]["message"], told


@pytest.mark.parametrize(("path", "method"), operations(), ids=lambda value: str(value))
@pytest.mark.filterwarnings("ignore")
def test_whatever_the_document_allows_is_answered(
    console: tuple[str, requests.Session], path: str, method: str
) -> None:
    import schemathesis

    url, session = console
    only = {**DOCUMENT, "paths": {path: {method: DOCUMENT["paths"][path][method]}}}
    for found in schemathesis.openapi.from_dict(only).get_all_operations():

        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=found.ok().as_strategy())
        def ask(case: Any) -> None:
            check(path, method, case.call(base_url=url, session=session))

        ask()
