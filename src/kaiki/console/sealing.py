"""What the console gives browsers to keep and only it can open: AES-GCM, so nothing is kept on the server.

The key comes from the console's token: a restart forgets nobody, a rotated token forgets everybody. Each purpose has a
key of its own, so what was sealed for one thing opens nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
import zlib
from collections.abc import Callable

from kaiki.console.access import Access

LONGEST_TEXT = 64 * 1024  # What is sealed is small; whoever may seal could still not make us unpack more.


class Seal:
    """Seals and opens texts for one purpose."""

    def __init__(self, access: Access, purpose: str, clock: Callable[[], float] = time.time) -> None:
        self._access = access
        self._purpose = purpose
        self._clock = clock

    @property
    def usable(self) -> bool:
        """Whether there is a key: the console knows its token."""
        return self._access.token is not None

    def seal(self, text: str, seconds: float) -> str:
        """A text that is good for so long, fit for a cookie."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, until = os.urandom(12), int(self._clock() + seconds)
        packed = zlib.compress(f"{until} {text}".encode(), 9)
        sealed = AESGCM(self._key()).encrypt(nonce, packed, None)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, sealed: str) -> str | None:
        """The text; None when it is nothing of ours, or too old."""
        if not sealed or not self.usable:
            return None
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            packed = AESGCM(self._key()).decrypt(raw[:12], raw[12:], None)
            until, _, text = zlib.decompressobj().decompress(packed, LONGEST_TEXT).decode().partition(" ")
            return text if int(until) > self._clock() else None
        except (InvalidTag, ValueError, zlib.error):
            return None

    def _key(self) -> bytes:
        return hashlib.sha256(f"kaiki console {self._purpose} {self._access.token or ''}".encode()).digest()
