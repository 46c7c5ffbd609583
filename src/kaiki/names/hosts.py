"""The user's own names: `$KAIKI_HOME/hosts`, in the form of /etc/hosts, for all pods of this machine's mesh.

    127.0.0.1   httpbin.org www.google.com      a server on this machine stands for one outside
    127.0.0.7   *.wikipedia.org                 any name below
    192.0.2.10  legacy.example.com

Pods have a loopback of their own, so addresses 127.0.0.1 to 127.0.0.253 of this machine are given as the addresses
pods reach them by: 10.97.255.254 for 127.0.0.1, else 10.97.255.N for 127.0.0.N. The file is read again when it changes.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from kaiki.names.table import HOST_ALIAS_ADDRESS

logger = logging.getLogger(__name__)
_ALIASES = "10.97.255."
_LAST_ALIAS = 253


def parse_hosts(text: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Name (or `*.domain`) → addresses as pods see them, and a sentence for each line that cannot be used."""
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            address = seen_by_pods(words[0])
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        for name in words[1:]:
            key = name.rstrip(".").lower()
            found[key] = (*found.get(key, ()), address)
    return found, problems


def seen_by_pods(text: str) -> str:
    """The address by which pods reach an address of this machine; others as they are. Raises ValueError."""
    address = ipaddress.IPv4Address(text)
    if not address.is_loopback:
        return str(address)
    last = int(text.rpartition(".")[2])
    if not text.startswith("127.0.0.") or not 1 <= last <= _LAST_ALIAS:
        raise ValueError(f"{text}: of the loopback only 127.0.0.1 to 127.0.0.{_LAST_ALIAS} can be reached from pods")
    return HOST_ALIAS_ADDRESS if last == 1 else f"{_ALIASES}{last}"


class HostsFile:
    """The file as it is now."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self._names: Mapping[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """What the file says of a name, itself or by the narrowest pattern; empty if nothing."""
        self._reload()
        if not self._names:
            return ()
        parts = name.split(".")
        patterns = (name, *("*." + ".".join(parts[index:]) for index in range(1, len(parts))))
        return next((self._names[one] for one in patterns if one in self._names), ())

    def _reload(self) -> None:
        if self._path is None:
            return
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_size)
        except OSError:
            stamp = (0, 0)
        if stamp == self._stamp:
            return
        self._stamp, self._names = stamp, {}
        try:
            self._names, problems = parse_hosts(self._path.read_text()) if stamp[0] else ({}, [])
        except (OSError, UnicodeDecodeError) as error:
            problems = [str(error)]
        for problem in problems:
            logger.warning("%s: %s", self._path, problem)
