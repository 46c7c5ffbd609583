"""Access logs of the mesh config, in listeners that a real Envoy takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import readable
import real_envoy
import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import LISTENER_TYPE, ProxyConfig
from kaiki.translate.generate import generate

CASE = Path(__file__).with_name("cases") / "protocols"


def _config(memo: Memo, mesh: dict[str, Any] | None = None, *objects: dict[str, Any]) -> ProxyConfig:
    documents = [document for document in yaml.safe_load_all((CASE / "in.yaml").read_text()) if document]
    (proxy,) = small_mesh.proxies(documents)
    documents += objects
    if mesh is not None:
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"namespace": "istio-system", "name": "istio"},
                "data": {"mesh": yaml.safe_dump(mesh)},
            }
        )
    return generate(interpret(small_mesh.inputs(documents)).snapshot, proxy, memo)


@pytest.mark.parametrize(
    "mesh",
    [
        {"accessLogFile": "/dev/stdout"},
        {"accessLogFile": "/dev/stdout", "accessLogFormat": "%START_TIME% {word}\n"},
        {"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON"},
        {"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON", "accessLogFormat": '{"a": {"b": "%PROTOCOL%"}}'},
    ],
)
def test_listeners_with_an_access_log_are_taken(mesh: dict[str, Any], tmp_path: Path) -> None:
    memo = Memo()
    plain, logged = _config(memo), _config(memo, mesh)
    assert "/dev/stdout" not in readable.as_yaml(plain.of(LISTENER_TYPE))
    for name, item in logged.of(LISTENER_TYPE).items():
        assert b"/dev/stdout" in item.body, name
    assert real_envoy.validate(logged, tmp_path) == ""


def test_without_a_file_nothing_changes() -> None:
    memo = Memo()
    plain = _config(memo)
    same = _config(memo, {"accessLogFile": ""})
    assert {name: one.version for name, one in plain.of(LISTENER_TYPE).items()} == {
        name: one.version for name, one in same.of(LISTENER_TYPE).items()
    }
