"""The access log of the mesh config, in listeners that a real Envoy takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import readable
import real_envoy
import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import LISTENER_TYPE, ProxyConfig
from kaiki.translate.features.access_log import AccessLogFile, access_log_file, add_access_log
from kaiki.translate.generate import generate

CASE = Path(__file__).with_name("cases") / "protocols"


def _config(memo: Memo) -> ProxyConfig:
    documents = [document for document in yaml.safe_load_all((CASE / "in.yaml").read_text()) if document]
    (proxy,) = small_mesh.proxies(documents)
    return generate(interpret(small_mesh.inputs(documents)).snapshot, proxy, memo)


@pytest.mark.parametrize(
    "file",
    [
        AccessLogFile("/dev/stdout"),
        AccessLogFile("/dev/stdout", "%START_TIME% {word}\n"),
        AccessLogFile("/dev/stdout", json=True),
        AccessLogFile("/dev/stdout", '{"code": "%RESPONSE_CODE%"}', json=True),
    ],
)
def test_listeners_with_an_access_log_are_taken(file: AccessLogFile, tmp_path: Path) -> None:
    memo = Memo()
    plain = _config(memo)
    logged = add_access_log(plain, file, memo)
    assert "/dev/stdout" not in readable.as_yaml(plain.of(LISTENER_TYPE))
    for name, item in logged.of(LISTENER_TYPE).items():
        assert b"/dev/stdout" in item.body, name
    assert real_envoy.validate(logged, tmp_path) == ""
    again = add_access_log(plain, file, memo)
    assert all(again.of(LISTENER_TYPE)[name] is item for name, item in logged.of(LISTENER_TYPE).items())


def test_without_a_file_nothing_changes() -> None:
    memo = Memo()
    plain = _config(memo)
    assert add_access_log(plain, AccessLogFile(), memo) is plain


@pytest.mark.parametrize(
    ("mesh", "file"),
    [
        ("accessLogFile: /dev/stdout", AccessLogFile("/dev/stdout")),
        ("accessLogFile: /dev/stdout\naccessLogEncoding: JSON", AccessLogFile("/dev/stdout", json=True)),
        ('accessLogFile: ""', AccessLogFile()),
        ("- not a mapping", AccessLogFile()),
        ("{", AccessLogFile()),
    ],
)
def test_what_the_mesh_config_says(mesh: str, file: AccessLogFile) -> None:
    assert access_log_file({"data": {"mesh": mesh}}) == file
    assert access_log_file(None) == AccessLogFile()
