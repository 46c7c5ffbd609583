"""What guides use `nc HOST PORT` for, on machines that have none: input to a TCP connection, what comes back to output.

When the input ends the other side is told, and what it still says is waited for, for a few seconds at most.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

_LAST_WORDS_SECONDS = 5.0


def main() -> int:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if len(words) != 2 or not words[1].isdigit():
        print("usage: nc HOST PORT", file=sys.stderr)
        return 2
    try:
        with socket.create_connection((words[0], int(words[1])), timeout=10) as connection:
            converse(connection)
    except OSError as error:
        print(f"nc: {words[0]} {words[1]}: {error}", file=sys.stderr)
        return 1
    return 0


def converse(connection: socket.socket) -> None:
    """Until the other side has ended, or said nothing more for a while after the input's end."""
    connection.settimeout(None)
    source = sys.stdin.buffer.raw  # type: ignore[attr-defined]
    watched: list[object] = [connection, source]
    end = float("inf")
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select(watched, [], [], min(left, 3600.0))
        if source in ready:
            data = source.read(65536)
            if data:
                connection.sendall(data)
            else:
                watched.remove(source)
                end = time.monotonic() + _LAST_WORDS_SECONDS
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
        if connection in ready:
            data = connection.recv(65536)
            if not data:
                return
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
