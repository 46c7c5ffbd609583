"""The system calls that make namespaces, called by ctypes.

Why not a library or the `unshare` program: this runs in the small processes that start containers, where every import
costs each of them memory and time. Only the standard library is used, here and in everything those processes load.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

SO_MARK = 36
SO_ORIGINAL_DST = 80

CAP_NET_ADMIN = 12
CAP_NET_RAW = 13
LAST_CAPABILITY = 40
_SECBIT_NOROOT_LOCKED = 0b11
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """unshare(2); raises OSError."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, flags: int = 0) -> None:
    """setns(2): join the namespace `descriptor` stands for; raises OSError."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(flags)), "setns")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2); raises OSError that names the target."""
    result = _libc.mount(
        source.encode() if source else None,
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {kind or source or ''} on {target}")


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2); raises OSError."""
    _check(_libc.umount2(target.encode(), ctypes.c_int(flags)), f"unmount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2); raises OSError."""
    _check(_libc.pivot_root(new_root.encode(), put_old.encode()), f"pivot_root {new_root}")


def prctl(option: int, argument: int) -> None:
    """prctl(2) with one argument; raises OSError."""
    arguments = [ctypes.c_ulong(value) for value in (argument, 0, 0, 0)]
    _check(_libc.prctl(ctypes.c_int(option), *arguments), f"prctl {option}")


def set_hostname(name: str) -> None:
    """sethostname(2); raises OSError."""
    _check(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name.encode()))), "sethostname")


def set_capabilities(kept: frozenset[int]) -> None:
    """Reduce this process, and what it executes, to the capabilities `kept`; raises OSError."""
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in kept:
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except OSError:
                continue  # unknown to an older kernel: then nobody has it
    if not kept:
        prctl(PR_SET_SECUREBITS, _SECBIT_NOROOT_LOCKED)
    mask = sum(1 << capability for capability in kept)
    words = (mask & 0xFFFFFFFF, mask & 0xFFFFFFFF, 0, mask >> 32, mask >> 32, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, struct.pack("=6I", *words)), "capset")


def can_set_mark(mark: int) -> bool:
    """Whether this process may set SO_MARK: without it Envoy's own traffic would be captured again and loop."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        except OSError:
            return False
    return True
