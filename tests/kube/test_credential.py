"""Tokens of credential plug-ins are fetched when needed and kept until they expire."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from kaiki.kube.config import ConfigError, CredentialCommand, KubeConfig, read_kubeconfig
from kaiki.kube.credential import Credential

PROGRAM = """
import json, os, pathlib, sys
path = pathlib.Path(sys.argv[1])
count = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(count))
assert json.loads(os.environ["KUBERNETES_EXEC_INFO"])["kind"] == "ExecCredential"
status = {"token": f"{os.environ['PREFIX']}{count}", "expirationTimestamp": sys.argv[2]}
print(json.dumps({"kind": "ExecCredential", "status": status}))
"""


def command(folder: Path, expires: datetime) -> CredentialCommand:
    arguments = (sys.executable, "-c", PROGRAM, str(folder / "count"), expires.isoformat())
    return CredentialCommand(arguments, (("PREFIX", "t"),), "client.authentication.k8s.io/v1")


@pytest.mark.parametrize(("minutes", "second"), [(10, "t1"), (0, "t2")])
async def test_a_token_is_kept_until_it_expires(tmp_path: Path, minutes: int, second: str) -> None:
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    credential = Credential(KubeConfig("https://host", command=command(tmp_path, expires)))
    assert await credential.token() == "t1"
    assert await credential.token() == second
    credential.forget()
    assert await credential.token() != second


async def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    missing = CredentialCommand(("no-such-plug-in",), (), "client.authentication.k8s.io/v1")
    with pytest.raises(ConfigError, match="no-such-plug-in"):
        await Credential(KubeConfig("https://host", command=missing)).token()


def test_a_kubeconfig_may_name_a_command(tmp_path: Path) -> None:
    user = {"exec": {"command": "plug-in", "args": ["get"], "env": [{"name": "A", "value": "B"}]}}
    document = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://host:1"}}],
        "users": [{"name": "u", "user": user}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    found = read_kubeconfig(path).command
    assert found is not None and (found.arguments, found.environment) == (("plug-in", "get"), (("A", "B"),))
