"""Can this machine run a mesh? Each thing the runtime needs is tried, one after another, and undone by ending.

The trial runs in a process of its own, started as the real one is, so that what is tried is what will happen. A step
that is refused is named with the reason and the way out; later steps need the earlier ones, so the first one
refused is the last in the list.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import kaiki

_SOURCE_FOLDER = str(Path(kaiki.__file__).parent.parent)
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from kaiki.runtime.probe import try_all; try_all(sys.argv[2])"
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One thing tried. `reason` and `way_out` are empty when it worked."""

    name: str
    ok: bool
    reason: str = ""
    way_out: str = ""


_USER = "user namespace"
_MOUNT = "mount namespace and tmpfs"
_NETWORK = "network namespace"
_VETH = "virtual Ethernet pair"
_RULES = "packet rules (nftables redirect)"
_MARK = "socket mark"
_FORWARD = "IP forwarding"
_PROC = "a /proc of its own"

_WAYS_OUT = {
    _MOUNT: "inside a container, start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, "
    "or with --privileged",
    _NETWORK: "set user.max_net_namespaces above 0 (sysctl), or run as root",
    _VETH: "load the kernel module: sudo modprobe veth",
    _RULES: "load the kernel modules: sudo modprobe nft_redir nft_nat nft_chain_nat nft_numgen",
    _MARK: "inside a container, allow CAP_NET_RAW and CAP_NET_ADMIN in its user namespace (--privileged does)",
    _FORWARD: "inside a container, let /proc/sys be written: --security-opt systempaths=unconfined, or --privileged",
    _PROC: "inside a container: --security-opt systempaths=unconfined; else applications see the node's processes",
}


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def user_namespace_way_out(read: Callable[[str], str] = _read) -> str:
    """What forbids unprivileged user namespaces on this machine, and how to allow them."""
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor restricts them (Ubuntu 23.10 and later): "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
        )
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "the kernel's switch is off: sudo sysctl kernel.unprivileged_userns_clone=1, or run as root"
    if read("/proc/sys/user/max_user_namespaces") == "0":
        return "none are allowed: sudo sysctl user.max_user_namespaces=15000, or run as root"
    if os.path.exists("/.dockerenv"):
        return "Docker's seccomp profile forbids them: docker run --security-opt seccomp=unconfined, or --privileged"
    return "run as root, or ask whoever administers this machine to allow unprivileged user namespaces"


def probe() -> list[ProbeStep]:
    """Try everything in a child process; the steps in order, ending with the first that is refused."""
    if sys.platform != "linux":
        reason = f"this is {sys.platform}; network namespaces are Linux's"
        return [
            ProbeStep("Linux", False, reason, "run Kaiki in a Linux virtual machine, or `kaiki install` on a cluster")
        ]
    steps = _try_in_child(new_user=True)
    if os.geteuid() == 0 and not steps[0].ok:
        return [ProbeStep(_USER, True, "refused, not needed by root"), *_try_in_child(new_user=False)]
    return steps


def _try_in_child(new_user: bool) -> list[ProbeStep]:
    command = [sys.executable, "-S", "-E", "-I", "-c", _BOOT, _SOURCE_FOLDER, "user" if new_user else "root"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [ProbeStep("trial", False, f"no answer within {_TIMEOUT_SECONDS} s", "look at the kernel's log (dmesg)")]
    steps = []
    for line in done.stdout.splitlines():
        name, reason = json.loads(line)
        way_out = user_namespace_way_out() if name == _USER else _WAYS_OUT[name]
        steps.append(ProbeStep(name, not reason, reason, way_out if reason else ""))
    if not steps:
        steps.append(ProbeStep("trial", False, done.stderr.strip()[-500:], "report this"))
    return steps


# What runs in the child: the standard library only.


def try_all(mode: str) -> None:
    """Try each step and print it as a line of JSON; stops at the first refusal."""
    for name, attempt in _attempts(mode):
        reason = ""
        try:
            attempt()
        except OSError as error:
            reason = str(error)
        print(json.dumps([name, reason]), flush=True)
        if reason and name != _PROC:
            return


def _attempts(mode: str) -> Iterator[tuple[str, Callable[[], None]]]:
    if mode == "user":
        yield _USER, _try_user_namespace
    yield _MOUNT, _try_mount
    yield _NETWORK, _try_network
    yield _VETH, _try_veth
    yield _RULES, _try_rules
    yield _MARK, _try_mark
    yield _FORWARD, _try_forwarding
    yield _PROC, _try_proc


def _try_user_namespace() -> None:
    from kaiki.runtime import syscalls
    from kaiki.runtime.nursery import write_user_map

    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    write_user_map(0, 0, uid, gid)


def _try_mount() -> None:
    from kaiki.runtime import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", "/tmp", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV)


def _try_network() -> None:
    from kaiki.runtime import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNET)


def _try_veth() -> None:
    from kaiki.runtime.sandbox import Network

    network = Network()
    network.prepare()
    network.remove_sandbox(network.make_sandbox())
    network.close()


def _try_rules() -> None:
    from kaiki.runtime import nft, rules

    destination = nft.open_socket()
    nft.apply_table(rules.capture_table(rules.Capture()), destination)
    share = rules.Rule((rules.Protocol("tcp"),), rules.Translate("10.97.1.1", 80, 2))
    chain = rules.Chain("prerouting", (share,), rules.Hook.PREROUTING)
    nft.apply_table(rules.Table("trial", rules.Family.IP, (chain,)), destination)
    destination.close()


def _try_mark() -> None:
    from kaiki.runtime import syscalls

    if not syscalls.can_set_mark(1337):
        raise PermissionError("SO_MARK is refused")


def _try_forwarding() -> None:
    from kaiki.runtime import enter

    enter.write_network_settings()


def _try_proc() -> None:
    from kaiki.runtime import syscalls

    syscalls.unshare(syscalls.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(OSError):
            syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
            status = 0
        os._exit(status)
    _, result = os.waitpid(child, 0)
    if result:
        raise PermissionError("mounting /proc is refused")
