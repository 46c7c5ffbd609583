"""Golden cases: a small mesh in, everything its proxy gets out, and a real Envoy that takes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import readable
import real_envoy
import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, ProxyConfig
from kaiki.translate.generate import generate

CASES = Path(__file__).with_name("cases")
FILES = {
    "clusters.yaml": CLUSTER_TYPE,
    "endpoints.yaml": ENDPOINT_TYPE,
    "listeners.yaml": LISTENER_TYPE,
    "routes.yaml": ROUTE_TYPE,
}


def _generate(folder: Path) -> ProxyConfig:
    documents = [document for document in yaml.safe_load_all((folder / "in.yaml").read_text()) if document]
    (proxy,) = small_mesh.proxies(documents)
    return generate(interpret(small_mesh.inputs(documents)).snapshot, proxy, Memo())


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir() if path.is_dir()))
def test_case(name: str, tmp_path: Path) -> None:
    folder = CASES / name
    config = _generate(folder)
    assert (folder / "in.yaml").read_text().startswith("#"), "the first comment says why the case exists"
    for file, type_url in FILES.items():
        path, given = folder / file, readable.as_yaml(config.of(type_url))
        if os.environ.get("KAIKI_UPDATE_GOLDEN"):
            path.write_text(given)
        assert path.read_text() == given, f"{name}/{file} differs; `make golden` rewrites it"
    assert real_envoy.validate(config, tmp_path) == ""
