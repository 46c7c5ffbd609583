"""The memo layer: what was built from the same inputs is built once and shared.

Inputs are immutable, and a snapshot keeps the very objects that did not change, so inputs are compared by identity: no
hashing of large values. An entry holds its inputs, which keeps their identities from being reused. Entries that two
epochs in a row did not ask for are dropped.

    get    the same inputs → the same result, not built again
    shared the same, for as long as somebody holds the result: entries do not age
    keep   an equal result → the very object of before, so that what depends on it need not be built again either
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

Built = TypeVar("Built")
_BY_VALUE = (str, int, float, bytes, bool, type(None))


def _key(value: object) -> Hashable:
    if isinstance(value, _BY_VALUE):
        return value
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return id(value)


class _Named:
    """A build that is known by its name: the function itself is a new one every time."""

    def __init__(self, name: str, build: Callable[[], Any]) -> None:
        self.name, self.build = name, build

    def __call__(self, *_: object) -> Any:
        return self.build()


class Memo:
    """Results by (function, identity of every input). Not safe for several threads."""

    def __init__(self) -> None:
        self._current: dict[Hashable, tuple[object, Any]] = {}
        self._previous: dict[Hashable, tuple[object, Any]] = {}
        self._epoch: object = None
        self._parts: dict[str, Memo] = {}
        self._shared: dict[Hashable, tuple[object, weakref.ref[Any]]] = {}
        self.hits = 0
        self.misses = 0

    def enter(self, epoch: object) -> None:
        """Say which inputs or snapshot the next calls are about; a new one retires what the last but one used."""
        if epoch is not self._epoch:
            self._epoch = epoch
            self._previous = self._current
            self._current = {}

    @property
    def size(self) -> int:
        """How many results of `get` and `keep` the newest epoch holds."""
        return len(self._current)

    def part(self, name: str) -> Memo:
        """A memo of its own for what is rebuilt seldom: its entries age only when it is entered itself."""
        return self._parts.setdefault(name, Memo())

    def depends(self, name: str, build: Callable[[], Built], *inputs: object) -> Built:
        """Give what `build()` gave before for the same name and inputs, which must be all it depends on."""
        return cast(Built, self.get(_Named(name, build), *inputs))

    def get(self, build: Callable[..., Built], *inputs: object) -> Built:
        """Give `build(*inputs)`, or what it gave before for the same inputs, which must be all it depends on."""
        named = build.name if isinstance(build, _Named) else build
        key = (named, *map(_key, inputs))
        entry = self._current.get(key) or self._previous.get(key)
        if entry is None:
            self.misses += 1
            entry = (inputs, build(*inputs))
        else:
            self.hits += 1
        self._current[key] = entry
        return cast(Built, entry[1])

    def shared(self, build: Callable[..., Built], *inputs: object) -> Built:
        """As `get`, but the result, which must take weak references, is forgotten when nobody holds it any more."""
        key = (build, *map(_key, inputs))
        entry = self._shared.get(key)
        if entry is not None and (known := entry[1]()) is not None:
            self.hits += 1
            return cast(Built, known)
        self.misses += 1
        made = build(*inputs)
        self._shared[key] = inputs, weakref.ref(made, lambda gone: self._drop(key, gone))
        return made

    def _drop(self, key: Hashable, gone: weakref.ref[Any]) -> None:
        entry = self._shared.get(key)
        if entry is not None and entry[1] is gone:
            del self._shared[key]

    def keep(self, slot: Hashable, value: Built) -> Built:
        """Give the last value of `slot` if it equals `value`, else remember and give `value`."""
        key = ("keep", slot)
        entry = self._current.get(key) or self._previous.get(key)
        if entry is None or entry[1] != value:
            entry = (None, value)
        self._current[key] = entry
        return cast(Built, entry[1])
