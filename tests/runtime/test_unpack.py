"""Archives of images become folders, and no layer writes outside of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from image_archive import make_layer, write_docker_archive, write_oci_layout

from kaiki.runtime.image_store import Unpacked, compose
from kaiki.runtime.mounts import resolve_inside
from kaiki.runtime.unpack import UnpackError, same_image, unpack

CONFIG = {"Entrypoint": ["/bin/serve"], "Cmd": ["--all"], "Env": ["A=1"], "WorkingDir": "/data", "User": "web"}
LOWER = make_layer({"bin": None, "bin/serve": b"one", "etc/passwd": b"web:x:33:34::/home/web:/bin/sh\n", "old": b"x"})
UPPER = make_layer({"bin/serve": b"two", ".wh.old": b"", "sbin": "/bin", "sbin/more": b"more"})


@pytest.mark.parametrize("write", [write_docker_archive, write_oci_layout])
def test_layers_lie_on_each_other(tmp_path: Path, write: object) -> None:
    write(tmp_path / "image", "example/web:1", CONFIG, LOWER, UPPER)  # type: ignore[operator]
    unpack(tmp_path / "image", "example/web:1", tmp_path / "out")
    root = tmp_path / "out" / "root"
    assert (root / "bin" / "serve").read_bytes() == b"two"
    assert (root / "bin" / "more").read_bytes() == b"more", "links are followed inside"
    assert not (root / "old").exists()
    assert json.loads((tmp_path / "out" / "image.json").read_text())["config"]["User"] == "web"
    launch = compose(Unpacked(root, CONFIG), {"args": ["--some"]})
    assert launch.command == ("/bin/serve", "--some")
    assert (launch.user, launch.directory) == ((33, 34), "/data")
    assert (launch.environment["A"], launch.environment["HOME"]) == ("1", "/home/web")
    assert compose(Unpacked(root, CONFIG), {"command": ["sh"]}).command == ("sh",)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "link/../../outside"])
def test_a_layer_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    write_docker_archive(tmp_path / "image", "bad:1", {}, make_layer({"link": "/", name: b"x"}))
    with pytest.raises(UnpackError, match="lies outside"):
        unpack(tmp_path / "image", "bad:1", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "outside").exists()


def test_links_to_the_host_lead_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    layer = make_layer({"link": str(victim), "link/file": b"x", "up": "../../..", "up/other": b"y"})
    write_docker_archive(tmp_path / "image", "bad:1", {}, layer)
    unpack(tmp_path / "image", "bad:1", tmp_path / "out")
    assert not list(victim.iterdir())
    assert (tmp_path / "out" / "root" / "other").read_bytes() == b"y"


def test_what_is_no_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"nothing")
    with pytest.raises(UnpackError, match="no archive of an image"):
        unpack(tmp_path / "image", "a:1", tmp_path / "out")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("busybox", "docker.io/library/busybox:latest", True),
        ("team/app:1", "docker.io/team/app:1", True),
        ("app:1", "localhost/app:1", True),
        ("app:1", "app:2", False),
        ("registry:5000/app", "registry:5000/app:latest", True),
    ],
)
def test_names(one: str, other: str, same: bool) -> None:
    assert same_image(one, other) is same


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="too many links"):
        resolve_inside(str(tmp_path), "a/c")
