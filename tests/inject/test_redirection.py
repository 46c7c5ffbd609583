"""What injection writes for the redirection step, that step understands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kaiki.runtime.redirect import parse_arguments

CASES = sorted(Path(__file__).with_name("cases").glob("*/local.yaml"))


@pytest.mark.parametrize("path", CASES, ids=[path.parent.name for path in CASES])
def test_the_arguments_are_understood(path: Path) -> None:
    pod = yaml.safe_load(path.read_text()) or {}
    for container in (pod.get("spec") or {}).get("initContainers") or ():
        if container["name"] == "istio-init":
            command, *arguments = container["args"]
            assert command == "redirect"
            parse_arguments(arguments)
