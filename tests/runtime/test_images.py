"""The image map."""

from pathlib import Path
from typing import Any

import pytest

from kaiki.runtime.images import (
    BUILT_IN,
    ImageEntry,
    ImageMap,
    ImageMapError,
    Launch,
    compose,
    find_program,
    program_script,
    read_image_map,
)

PLACES = {"python": "/py", "envoy": "/envoy", "samples": "/s"}
ENTRY = ImageEntry(
    "x/*", command=("{python}", "-m", "app"), args=("--default",), env={"A": "{samples}/a"}, working_dir="/w"
)


def find(tmp_path: Path, image: str, **container: Any) -> Launch | None:
    images = ImageMap((tmp_path / "images.yaml", BUILT_IN), PLACES)
    images.reload()
    return images.find({"image": image, **container})


def test_built_in(tmp_path: Path) -> None:
    kaiki = find(tmp_path, "kaiki/kaiki:0.1.0", args=["console"])
    assert kaiki and kaiki.command == ("/py", "-m", "kaiki", "console") and not kaiki.privileged
    envoy = find(tmp_path, "docker.io/envoyproxy/envoy:v1.40.0", args=["--version"])
    assert envoy and envoy.command == ("/envoy", "--version") and envoy.privileged
    store = find(tmp_path, "quay.io/prom/prometheus:v3", args=["--config.file=x"])
    assert store and store.command[:4] == ("/py", "-m", "kaiki", "metrics") and "--config.file=x" not in store.command
    assert find(tmp_path, "nginx") is None


def test_redirect_is_carried_out_by_the_node(tmp_path: Path) -> None:
    found = find(tmp_path, "kaiki/kaiki:1", args=["redirect", "--exclude=mark"])
    assert found and found.builtin == "redirect" and found.command == ("--exclude=mark",)


def test_composition_is_dockers() -> None:
    assert compose(ENTRY, {}, PLACES).command == ("/py", "-m", "app", "--default")
    assert compose(ENTRY, {"args": ["a"]}, PLACES).command == ("/py", "-m", "app", "a")
    assert compose(ENTRY, {"command": ["c"]}, PLACES).command == ("c",)
    assert compose(ENTRY, {"command": ["c"], "args": ["a"]}, PLACES).command == ("c", "a")
    assert compose(ENTRY, {}, PLACES).environment == {"A": "/s/a"}


def test_programs_of_an_image_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    mine = tmp_path / "images.yaml"
    mine.write_text('- image: "load:*"\n  command: [serve]\n  programs: {fortio: ["{python}", fortio.py]}\n')
    found = find(tmp_path, "load:1", command=["/usr/bin/fortio", "load"])
    assert found and found.command == ("/py", "fortio.py", "load")
    assert found.programs == {"fortio": ("/py", "fortio.py")}
    assert find_program(found.programs, ["fortio", "x y"]) == ("/py", "fortio.py", "x y")
    assert find_program(found.programs, ["/opt/fortio"]) == ("/opt/fortio",)
    assert find_program(found.programs, ["sh", "-c", "fortio"]) == ("sh", "-c", "fortio")
    assert program_script(("/py", "a b.py")) == "#!/bin/sh\nexec /py 'a b.py' \"$@\"\n"


def test_the_users_file_is_first_and_read_again(tmp_path: Path) -> None:
    mine = tmp_path / "images.yaml"
    images = ImageMap((mine, BUILT_IN), PLACES)
    assert images.reload() and not images.reload()
    assert images.find({"image": "nginx"}) is None
    mine.write_text('- {image: "nginx:latest", command: [mine]}\n- {image: "kaiki/*", command: [other]}\n')
    assert images.reload()
    found, own = images.find({"image": "nginx"}), images.find({"image": "kaiki/kaiki:1"})
    assert found and found.command == ("mine",) and own and own.command == ("other",)


def test_a_broken_file_is_named_and_left_out(tmp_path: Path) -> None:
    mine = tmp_path / "images.yaml"
    mine.write_text("- {image: a, comand: [x]}\n")
    images = ImageMap((mine, BUILT_IN), PLACES)
    images.reload()
    assert "comand" in images.errors[0] and str(mine) in images.errors[0]
    assert images.find({"image": "kaiki/kaiki:1"})
    assert str(mine) in images.explain_missing("nginx") and "'nginx'" in images.explain_missing("nginx")
    with pytest.raises(ImageMapError, match="comand"):
        read_image_map(mine)
