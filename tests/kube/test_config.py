"""Where the API server is found."""

import base64
from pathlib import Path

import pytest
import yaml

from kaiki.kube.config import ConfigError, in_cluster_config, load_config, read_kubeconfig


def write_kubeconfig(folder: Path, **user: object) -> Path:
    path = folder / "kubeconfig"
    ca = base64.b64encode(b"PEM").decode()
    document = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://host:1/", "certificate-authority-data": ca}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_kubeconfig_is_read(tmp_path: Path) -> None:
    config = read_kubeconfig(write_kubeconfig(tmp_path, token="t"))
    assert (config.server, config.ca_data, config.token, config.namespace) == ("https://host:1", "PEM", "t", "shop")
    assert "'t'" not in repr(config)


def test_files_are_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "cert").write_text("CERT")
    (tmp_path / "key").write_text("KEY")
    user = {"client-certificate": "cert", "client-key": "key", "tokenFile": "token"}
    config = read_kubeconfig(write_kubeconfig(tmp_path, **user))
    assert (config.client_cert, config.client_key) == ("CERT", "KEY")
    assert config.token_file == tmp_path / "token"


def test_missing_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no entry named 'two' under contexts"):
        read_kubeconfig(write_kubeconfig(tmp_path), context="two")


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    with pytest.raises(ConfigError, match="token is missing"):
        in_cluster_config(environment, tmp_path)
    for name, text in {"token": "t", "ca.crt": "PEM", "namespace": "shop\n"}.items():
        (tmp_path / name).write_text(text)
    config = in_cluster_config(environment, tmp_path)
    assert (config.server, config.ca_data, config.namespace) == ("https://10.96.0.1:6443", "PEM", "shop")


def test_nothing_found_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="kaiki up"):
        load_config()
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, token="t")))
    assert load_config().token == "t"
