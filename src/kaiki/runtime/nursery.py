"""The process that gives birth to containers.

Why a process of its own: forking the supervisor (tens of megabytes, an event loop, open connections) for each container
is slow and unsafe; starting a fresh interpreter for each is slower. This one is forked before the supervisor loads
anything, stays small, has one thread, and forks in under a millisecond; the child sets its namespaces up and executes
the container's command.

    supervisor ──{"op": "spawn", …} + descriptors──▶ nursery ──fork──▶ child: namespaces, mounts, user ──exec──▶ command
               ◀──{"born": id, "pid": n}, {"exited": id, "status": n}──

Each message is one packet of JSON; what is large (arguments, environment) travels in a memory file. Setup errors go
through a pipe that closes by itself when the command is executed. The standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import termios
from typing import Any

from kaiki.runtime import mounts, syscalls

_RECEIVE_BYTES = 4096
_MAXIMUM_DESCRIPTORS = 32


class Nursery:
    """Children by the supervisor's numbers for them. A number is never signalled after its process was reaped."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._pids: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._isolated: set[int] = set()

    def serve(self) -> None:
        """Work until the supervisor is gone."""
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write)
        while True:
            ready, _, _ = select.select([self._control.fileno(), wake_read], [], [])
            if wake_read in ready:
                os.read(wake_read, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._handle():
                return

    def _handle(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, _RECEIVE_BYTES, _MAXIMUM_DESCRIPTORS)
        if not data:
            return False
        message = json.loads(data)
        try:
            if message["op"] == "signal":
                self._signal(message["id"], message["signal"], message.get("group", False))
            else:
                self._spawn(message, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _signal(self, number: int, which: int, group: bool) -> None:
        pid = self._pids.get(number)
        if pid is None:
            return
        if which == signal.SIGTERM and number in self._isolated and not _catches(pid, which):
            # The first process of a pid namespace ignores what it does not catch; anywhere else it would end here.
            which = signal.SIGKILL
        if group:
            _signal_group(pid, which)
        else:
            os.kill(pid, which)

    def _spawn(self, message: dict[str, Any], descriptors: list[int]) -> None:
        number = message["id"]
        try:
            pid = self._fork(message, descriptors)
        except OSError as error:
            os.write(descriptors[1], str(error).encode())
            self._send({"exited": number, "status": 126 << 8})
            return
        self._pids[number] = pid
        self._numbers[pid] = number
        if message["isolated"]:
            self._isolated.add(number)
        self._send({"born": number, "pid": pid})

    def _fork(self, message: dict[str, Any], descriptors: list[int]) -> int:
        joined = self._pids.get(message["join"]) if message["join"] is not None else None
        if message["join"] is not None and joined is None:
            raise ProcessLookupError("the container is not running")
        if joined is not None:
            _join(joined, "pid", syscalls.CLONE_NEWPID)
        elif message["isolated"]:
            syscalls.unshare(syscalls.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _become(descriptors, joined)
            return pid
        finally:
            if message["isolated"] or joined is not None:
                syscalls.setns(self._own_pid_namespace, syscalls.CLONE_NEWPID)

    def _reap(self) -> None:
        while self._pids:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._numbers.pop(pid, None)
            if number is not None:
                del self._pids[number]
                self._isolated.discard(number)
                self._send({"exited": number, "status": status})

    def _send(self, message: dict[str, int]) -> None:
        self._control.send(json.dumps(message).encode())


def _signal_group(pid: int, which: int) -> None:
    try:
        os.killpg(pid, which)  # a child is the first of its session, and so of a group
    except ProcessLookupError:
        os.kill(pid, which)  # not that far yet


def _catches(pid: int, which: int) -> bool:
    try:
        with open(f"/proc/{pid}/status") as lines:
            caught = next(line for line in lines if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return True
    return bool(int(caught.split()[1], 16) >> (which - 1) & 1)


def _join(pid: int, name: str, flag: int) -> None:
    descriptor = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(descriptor, flag)
    finally:
        os.close(descriptor)


def _become(descriptors: list[int], joined: int | None) -> None:
    """In the child: never returns."""
    specification, errors = descriptors[:2]
    try:
        with open(specification, "rb", closefd=False) as file:
            file.seek(0)
            request = json.load(file)
        _reset_signals()
        _enter_namespaces(request, descriptors, joined)
        _execute(request, descriptors, joined)
    except BaseException as error:
        os.write(errors, f"{error}".encode()[:4096])
    finally:
        os._exit(126)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    os.setsid()
    for which in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(which, signal.SIG_DFL)


def _enter_namespaces(request: dict[str, Any], descriptors: list[int], joined: int | None) -> None:
    if joined is not None:
        user = os.open(f"/proc/{joined}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        same = os.fstat(user).st_ino == os.stat("/proc/self/ns/user").st_ino
        _join(joined, "net", syscalls.CLONE_NEWNET)
        _join(joined, "uts", syscalls.CLONE_NEWUTS)
        _join(joined, "mnt", syscalls.CLONE_NEWNS)
        if not same:
            syscalls.setns(user, syscalls.CLONE_NEWUSER)
        return
    if request["network"] is not None:
        syscalls.setns(descriptors[request["network"]], syscalls.CLONE_NEWNET)
    if request["view"] is None:
        return
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
    syscalls.set_hostname(request["hostname"])
    _mount_proc()
    mounts.lay_over(request["view"])


def _mount_proc() -> None:
    try:
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    except OSError:
        return  # refused inside some containers: the node's own /proc stays in view


def _execute(request: dict[str, Any], descriptors: list[int], joined: int | None) -> None:
    errors = descriptors[1]
    os.set_inheritable(errors, False)  # closed by the execution, which is how the supervisor knows of it
    kept = {errors}
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for target, index in enumerate(request["streams"]):
        os.dup2(null if index is None else descriptors[index], target)
    if request["terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for target, index in request["inherited"]:
        os.dup2(descriptors[index], target)
        kept.add(target)
    _close_others(kept)
    os.chdir(request["directory"])
    os.umask(0o022)
    _change_user(request, joined)
    environment = request["environment"]
    command = request["command"]
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        raise FileNotFoundError(f"exec: {command[0]!r}: not found in PATH or on disk") from None


def _close_others(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the descriptor of the listing itself


def _change_user(request: dict[str, Any], joined: int | None) -> None:
    """Give up what the container is not meant to have.

    A user (`uid`, `gid`) becomes real in a user namespace inside the mesh's: its files are the launcher's, it has no
    capability over anything the mesh owns. Where such a namespace is refused, root without any capability remains.
    """
    if request["user"] is not None and joined is not None:
        os.setresgid(*[request["user"][1]] * 3)
        os.setresuid(*[request["user"][0]] * 3)
    elif request["user"] is not None:
        _map_user(*request["user"])
    elif request["capabilities"] is not None:
        syscalls.set_capabilities(frozenset(request["capabilities"]))
    if request["mark"] is not None and not syscalls.can_set_mark(request["mark"]):
        raise PermissionError(
            f"this container may not set the socket mark {request['mark']} (CAP_NET_RAW): its traffic would loop; "
            "see `kaiki probe`, or start the mesh as root"
        )


def _map_user(uid: int, gid: int) -> None:
    own_uid, own_gid = os.geteuid(), os.getegid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except OSError:
        syscalls.set_capabilities(frozenset())
        return
    write_user_map(uid, gid, own_uid, own_gid)


def write_user_map(uid: int, gid: int, outer_uid: int, outer_gid: int) -> None:
    """Map one user and one group of this process's new user namespace to those outside; raises OSError."""
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def main(control: socket.socket) -> None:
    """Run the nursery in this process until the other end of `control` closes."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    Nursery(control).serve()
