"""From the host into the mesh's namespaces: the first process inside.

    launcher ─▶ middle (new user namespace; waits) ─▶ PID 1: mounts, nursery, relay, then *becomes* the supervisor

Everything inside dies with PID 1, because it is the first of its pid namespace; PID 1 dies with the middle process
and that
with the launcher, by PR_SET_PDEATHSIG, and a pipe nobody writes to covers the moments before that is set. The nursery
and
the relay are forked here, before the supervisor loads its libraries, so that they stay small. The standard library
only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any

from kaiki.runtime import syscalls

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from kaiki.runtime.enter import main; main()"
_NAMESPACES = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC


def enter_namespaces(new_user: bool) -> None:
    """Leave the host: everything but the pid namespace at once, that one with the next fork. Raises OSError."""
    if new_user:
        uid, gid = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        from kaiki.runtime.nursery import write_user_map

        write_user_map(0, 0, uid, gid)
    syscalls.unshare(_NAMESPACES)


def _die_with_parent(expected_parent: int) -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() not in (expected_parent, 0):
        os._exit(1)


def _wait(child: int) -> None:
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, signal.SIG_IGN)  # the launcher asks through its socket; it alone decides when
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _prepare_mounts(sandbox: str) -> None:
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    try:
        syscalls.mount("proc", "/proc", "proc", flags | syscalls.MS_NOEXEC)
    except OSError:
        pass  # refused inside some containers; the probe says what that costs
    syscalls.mount("tmpfs", sandbox, "tmpfs", flags, "mode=0755")
    os.mkdir(os.path.join(sandbox, "root"))


def write_network_settings() -> None:
    """This network namespace forwards, and lets anyone bind any port."""
    for name, value in (("ip_forward", "1"), ("ip_unprivileged_port_start", "0")):
        with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
            file.write(value)


def _fork_helper(name: str, descriptors: list[int]) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        status = 1
        try:
            ours.close()
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            _run_helper(name, theirs, descriptors)
            status = 0
        finally:
            os._exit(status)
    theirs.close()
    return ours


def _run_helper(name: str, control: socket.socket, descriptors: list[int]) -> None:
    if name == "nursery":
        for descriptor in descriptors:
            os.close(descriptor)
        from kaiki.runtime import nursery

        nursery.main(control)
    else:
        from kaiki.runtime import relay

        relay.main(control, socket.socket(fileno=descriptors[0]))


def _become_supervisor(boot: dict[str, Any]) -> None:
    nursery = _fork_helper("nursery", [boot["host_sockets"], boot["control"], *boot["inherited"]])
    relay = _fork_helper("relay", [boot["host_sockets"]])
    os.close(boot["host_sockets"])
    kept = [boot["control"], *boot["inherited"], nursery.fileno(), relay.fileno()]
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    environment = dict(os.environ, KAIKI_NURSERY=str(nursery.fileno()), KAIKI_RELAY=str(relay.fileno()))
    command = boot["supervisor"]
    os.execve(command[0], command, environment)


def main() -> None:
    """`argv`: the source folder, then JSON: `supervisor`, `control`, `host_sockets`, `inherited`, `new_user`, …"""
    boot = json.loads(sys.argv[2])
    _die_with_parent(boot["launcher"])
    try:
        enter_namespaces(boot["new_user"])
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user forgets it
        middle = os.getpid()
        child = os.fork()
        if child:
            _wait(child)
        _die_with_parent(middle)
        _prepare_mounts(boot["sandbox"])
        write_network_settings()
        _become_supervisor(boot)
    except OSError as error:
        print(f"kaiki: cannot enter the mesh's namespaces: {error}; see `kaiki probe`", file=sys.stderr)
        os._exit(125)
