"""`kaiki redirect`: set up a pod's packet rules, in its init container.

On a cluster this runs as a program with NET_ADMIN; on one machine the node carries the same arguments out itself,
without a process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kaiki.runtime import nft, rules


class RedirectError(ValueError):
    """The arguments make no sense; the message says which and why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise RedirectError(f"redirect: {message}")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _all_or(text: str) -> tuple[str, ...] | None:
    """Istio's lists of what is included: `*` is everything (None), nothing is nothing."""
    words = _words(text)
    return None if "*" in words else words


def _all_or_numbers(text: str) -> tuple[int, ...] | None:
    return None if _all_or(text) is None else _numbers(text)


def _parser() -> _Parser:
    parser = _Parser(prog="kaiki redirect", description="Send a pod's traffic through its Envoy.")
    parser.add_argument("--exclude", choices=("mark", "uid"), default="mark", help="how Envoy's traffic is told apart")
    parser.add_argument("--exclude-value", type=int, default=1337, help="the mark or user id")
    parser.add_argument("--exclude-outbound-ports", type=_numbers, default=(), metavar="PORT,…")
    parser.add_argument("--exclude-inbound-ports", type=_numbers, default=(), metavar="PORT,…")
    parser.add_argument("--include-outbound-ports", type=_numbers, default=(), metavar="PORT,…")
    parser.add_argument("--include-inbound-ports", type=_all_or_numbers, default=None, metavar="PORT,…|*")
    parser.add_argument("--exclude-outbound-ip-ranges", type=_words, default=(), metavar="CIDR,…")
    parser.add_argument("--include-outbound-ip-ranges", type=_all_or, default=None, metavar="CIDR,…|*")
    parser.add_argument("--print", action="store_true", help="print the rules and change nothing")
    return parser


def parse_arguments(arguments: Sequence[str]) -> tuple[rules.Capture, bool]:
    """The capture the arguments ask for, and whether only to print it; raises RedirectError."""
    found = _parser().parse_args(list(arguments))
    exclude = rules.UserId(found.exclude_value) if found.exclude == "uid" else rules.Mark(found.exclude_value)
    try:
        capture = rules.Capture(
            exclude,
            exclude_outbound_ports=found.exclude_outbound_ports,
            exclude_inbound_ports=found.exclude_inbound_ports,
            exclude_outbound_prefixes=found.exclude_outbound_ip_ranges,
            include_outbound_prefixes=found.include_outbound_ip_ranges,
            include_outbound_ports=found.include_outbound_ports,
            include_inbound_ports=found.include_inbound_ports,
        )
    except ValueError as error:
        raise RedirectError(f"redirect: {error}") from error
    return capture, found.print


def main(argv: Sequence[str]) -> int:
    """Apply the rules in the network namespace of this process; the exit code."""
    try:
        capture, only_print = parse_arguments(argv)
        table = rules.capture_table(capture)
        if only_print:
            print(rules.as_text(table), end="")
            return 0
        destination = nft.open_socket()
        try:
            nft.apply_table(table, destination)
        finally:
            destination.close()
    except RedirectError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"redirect: the kernel refused the packet rules: {error}; NET_ADMIN is needed", file=sys.stderr)
        return 1
    return 0
