"""Images asked of podman or docker: a program of that name stands at the boundary (test_registry.py: the real one)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kaiki.runtime import engines

PROGRAM = """#!/bin/sh
echo "$@" >> "{log}"
case "$1 $2" in
"image inspect") test -e "{there}" || {{ echo "no such image"; exit 1; }}; echo "sha256:$(cat "{there}")" ;;
"pull --quiet") test -e "{offered}" || {{ echo "no registry has it"; exit 1; }}; cp "{offered}" "{there}" ;;
"save --output") cp "{there}" "$3" ;;
esac
"""


class Engine:
    """What the program has, offers and was asked."""

    def __init__(self, folder: Path) -> None:
        self.log, self.there, self.offered = folder / "log", folder / "there", folder / "offered"
        self.path = folder / "archive.tar"
        program = folder / "bin" / "podman"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(log=self.log, there=self.there, offered=self.offered))
        program.chmod(0o755)

    async def fetch(self, policy: str, known: str = "", image: str = "team/app:1") -> dict[str, str]:
        return await engines.fetch({"image": image, "path": str(self.path), "policy": policy, "known": known})


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(engines, "ENGINES", ("podman",))
    assert engines.found_engines() == ("podman",)
    return made


async def test_what_is_there_is_not_pulled(engine: Engine) -> None:
    engine.there.write_text("aaa")
    assert await engine.fetch("IfNotPresent") == {"digest": "aaa"}
    assert engine.path.read_text() == "aaa"
    assert "pull --quiet" not in engine.log.read_text()


async def test_what_is_not_there_is_pulled_unless_it_never_may(engine: Engine) -> None:
    engine.offered.write_text("bbb")
    assert "no such image" in (await engine.fetch("Never"))["failure"]
    assert await engine.fetch("IfNotPresent") == {"digest": "bbb"}


async def test_always_looks_and_writes_only_what_is_new(engine: Engine) -> None:
    engine.there.write_text("aaa")
    engine.offered.write_text("bbb")
    assert await engine.fetch("Always", known="bbb") == {"digest": "bbb"}
    assert not engine.path.exists()
    assert await engine.fetch("Always", known="aaa") == {"digest": "bbb"}
    assert engine.path.read_text() == "bbb"


async def test_failures_name_the_cause(engine: Engine) -> None:
    assert await engine.fetch("IfNotPresent") == {"failure": "podman: no registry has it"}


@pytest.mark.parametrize("image", ["--help", "a b", "", "a;b", "-v/:/x"])
async def test_no_name_is_taken_for_an_option(engine: Engine, image: str) -> None:
    assert "no name of an image" in (await engine.fetch("Always", image=image))["failure"]
    assert not os.path.exists(engine.log)
