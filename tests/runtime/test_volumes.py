"""Volume content and its atomic replacement."""

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from kaiki.runtime.environment import MissingReference, PodFacts
from kaiki.runtime.resolver import hosts_file, resolv_conf
from kaiki.runtime.volumes import AtomicDirectory, Content, File, TokenFile, volume_content

POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "default", "uid": "u", "labels": {"a": "b"}}, "spec": {}}


class Objects:
    def config_map(self, namespace: str, name: str) -> Any:
        return {"data": {"a": "1", "b": "2"}, "binaryData": {"c": b64encode(b"\0").decode()}} if name == "cm" else None

    def secret(self, namespace: str, name: str) -> Any:
        return {"type": "Opaque", "data": {"k": b64encode(b"s").decode()}} if name == "secret" else None


def content(volume: dict[str, Any]) -> Content | None:
    return volume_content({"name": "v", **volume}, PodFacts(POD, "10.97.1.1", "10.97.0.1"), Objects(), {})


def test_config_map() -> None:
    assert content({"configMap": {"name": "cm"}}) == Content({"c": File(b"\0"), "a": File(b"1"), "b": File(b"2")})
    items = [{"key": "a", "path": "deep/x", "mode": 0o400}]
    assert content({"configMap": {"name": "cm", "items": items}}) == Content({"deep/x": File(b"1", 0o400)})


def test_missing_and_optional() -> None:
    with pytest.raises(MissingReference, match='configmap "no" not found'):
        content({"configMap": {"name": "no"}})
    assert content({"configMap": {"name": "no", "optional": True}}) == Content({})
    with pytest.raises(MissingReference, match=r"without '\.\.'"):
        content({"configMap": {"name": "cm", "items": [{"key": "a", "path": "../x"}]}})


def test_projected() -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "istio-ca", "expirationSeconds": 600}},
        {"secret": {"name": "secret"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    found = content({"projected": {"sources": sources}})
    assert found == Content({"k": File(b"s"), "labels": File(b'a="b"')}, (TokenFile("token", "istio-ca", 600),))


def test_directories_have_no_content_and_others_are_refused() -> None:
    assert content({"emptyDir": {}}) is None
    with pytest.raises(MissingReference, match="is of kind nfs"):
        content({"nfs": {}})


def test_atomic_replacement(tmp_path: Path) -> None:
    directory = AtomicDirectory(tmp_path / "v")
    assert directory.write({"a": File(b"1"), "d/x": File(b"2", 0o600)})
    assert (tmp_path / "v/a").read_bytes() == b"1" and (tmp_path / "v/d/x").stat().st_mode & 0o777 == 0o600
    first = os.readlink(tmp_path / "v/..data")
    assert not directory.write({"a": File(b"1"), "d/x": File(b"2", 0o600)})
    assert directory.write({"a": File(b"3")})
    assert (tmp_path / "v/a").read_bytes() == b"3" and not (tmp_path / "v/d").is_symlink()
    assert not (tmp_path / "v" / first).exists()


def test_resolv_conf() -> None:
    assert resolv_conf(POD) == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.97.0.1\noptions ndots:5\n"
    )
    extra = {"nameservers": ["10.96.0.53"], "searches": ["x.org"], "options": [{"name": "ndots", "value": "2"}]}
    text = resolv_conf({**POD, "spec": {"dnsPolicy": "None", "dnsConfig": extra}})
    assert text == "search x.org\nnameserver 10.96.0.53\noptions ndots:2\n"


def test_hosts() -> None:
    spec = {"hostname": "h", "subdomain": "db", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}
    text = hosts_file({**POD, "spec": spec}, "10.97.1.1")
    assert "10.97.1.1\th.db.default.svc.cluster.local h\n" in text and text.endswith("1.2.3.4\ta b\n")
