"""One resource type on one stream: what the proxy asked for, what it certainly has, and what to send it next.

What a proxy has is known from its acknowledgements only. After a rejection nothing is known (some of a rejected
response may be in force, or nothing of it), so all of it becomes *unsure* and is sent again in halves, until what is
bad stands alone. That one is *quarantined*: named, and left out until it changes. The rest goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kaiki.discovery.wire import DiscoveryResponse
from kaiki.model.proxy import Resource
from kaiki.model.table import differences

WILDCARD = "*"
GONE = ""
"""The version of what should not be there."""

MOST_RESPONSE_BYTES = 2_000_000
"""What one response carries at most; gRPC clients refuse messages above 4 MB unless told otherwise."""

Target = Mapping[str, Resource]
Differences = Callable[[Target, Target], Collection[str]]
"""The names at which two targets differ."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A resource a proxy refused, the version it refused, and what it said."""

    type_url: str
    name: str
    version: str
    reason: str


@dataclass(slots=True)
class Watch:
    """The state of one type. `held` is name → acknowledged version; `forced` must be sent whatever its version.

    `owes_answer`: a proxy that starts waits for a first answer, be it that there is nothing.

    What there is to say is not searched for among thousands of names: all but the `_open` ones are as they should be
    under `_base`, the target that was looked at last. A new target opens the names at which it differs from that.
    """

    type_url: str
    wildcard: bool = False
    subscribed: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    forced: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    quarantined: dict[str, Rejection] = field(default_factory=dict)
    pending: DiscoveryResponse | None = None
    trials: deque[tuple[str, ...]] = field(default_factory=deque)
    owes_answer: bool = False
    differences: Differences = differences
    _base: Target = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    # What the proxy says

    def subscribe(self, names: Iterable[str], initial_versions: Mapping[str, str]) -> None:
        """New names. What the proxy already had when it connected is not sent again; anything else is, in any case."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = True
            else:
                self.subscribed.add(name)
        for name, version in initial_versions.items():
            if self.is_wanted(name):
                self.held[name] = version
        for name in names:
            if name != WILDCARD and name not in initial_versions:
                self.forced.add(name)
                self.quarantined.pop(name, None)
        if self.wildcard:
            self._open.update(self._base)
        self._open.update(names, initial_versions)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Names the proxy has dropped. Under a wildcard it must be told again what they are."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = False
            else:
                self.subscribed.discard(name)
        known = {*self.held, *self.forced, *self.unsure, *self.quarantined}
        for name in [name for name in known if not self.is_wanted(name)]:
            self._forget(name)
        if self.wildcard:
            self.forced.update(name for name in names if name != WILDCARD)
        self._open.update(names)

    def is_wanted(self, name: str) -> bool:
        """Whether the proxy is interested in a name."""
        return self.wildcard or name in self.subscribed

    def drop(self, names: Iterable[str]) -> None:
        """Names the proxy has lost without a word, because it lost what they belong to."""
        for name in names:
            self._forget(name)
            self._open.discard(name)

    def _forget(self, name: str) -> None:
        self.held.pop(name, None)
        self.quarantined.pop(name, None)
        self.forced.discard(name)
        self.unsure.discard(name)

    def acknowledge(self, nonce: str) -> DiscoveryResponse | None:
        """An ACK: what was sent is in force. Returns it; None when the nonce is not the one awaited."""
        response = self._take_pending(nonce)
        if response is None:
            return None
        for resource in response.resources:
            if self.is_wanted(resource.name):
                self.held[resource.name] = resource.version
                self._clear(resource.name)
        for name in response.removed:
            self.held.pop(name, None)
            self._clear(name)
        self._open.update(response.removed)
        return response

    def _clear(self, name: str) -> None:
        self.unsure.discard(name)
        self.quarantined.pop(name, None)

    def reject(self, nonce: str, reason: str) -> Rejection | None:
        """A NACK. Returns the rejection once it is certain which resource is meant."""
        response = self._take_pending(nonce)
        if response is None:
            return None
        versions = {resource.name: resource.version for resource in response.resources}
        versions |= dict.fromkeys(response.removed, GONE)
        names = [name for name in versions if self.is_wanted(name)]
        self.unsure.update(names)
        self._open.update(names)
        if len(versions) > 1:
            half = (len(names) + 1) // 2
            self.trials.extendleft(group for group in (tuple(names[half:]), tuple(names[:half])) if group)
            return None
        for name in names:
            self.quarantined[name] = Rejection(self.type_url, name, versions[name], reason)
            return self.quarantined[name]
        return None

    def _take_pending(self, nonce: str) -> DiscoveryResponse | None:
        if self.pending is None or self.pending.nonce != nonce:
            return None
        response, self.pending = self.pending, None
        return response

    # What to say to the proxy

    def take(self, target: Target, nonce: str, may_remove: bool) -> DiscoveryResponse | None:
        """The next response, which is then pending; None when there is nothing to say."""
        if self.pending is not None:
            return None
        self._look_at(target)
        if not self._open and not self.trials and not self.owes_answer:
            return None
        self._pardon_unknown(target)
        for names in self._groups():
            if response := self._build(names, target, nonce, may_remove):
                return self._send(response)
        if self.owes_answer:
            return self._send(DiscoveryResponse(self.type_url, nonce, ()))
        self._open = {name for name in self._open if self.is_wanted(name) and self._is_due(name, target)}
        return None

    def _look_at(self, target: Target) -> None:
        if target is not self._base:
            self._open.update(self._changed(target))
            self._base = target

    def _changed(self, target: Target) -> Iterable[str]:
        """The names that a target opens, as far as the proxy is interested in them."""
        found = self.differences(self._base, target)
        return found if self.wildcard else self.subscribed.intersection(found)

    def _pardon_unknown(self, target: Target) -> None:
        """Whatever was refused of a resource that should no longer be there is nobody's trouble any more."""
        for name in [name for name, one in self.quarantined.items() if one.version != GONE and name not in target]:
            del self.quarantined[name]

    def _send(self, response: DiscoveryResponse) -> DiscoveryResponse:
        self.pending, self.owes_answer = response, False
        self._open.difference_update([resource.name for resource in response.resources])
        self._open.difference_update(response.removed)
        return response

    def force(self, name: str) -> None:
        """Send a subscribed name at the next opportunity, whatever its version."""
        if self.is_wanted(name):
            self.forced.add(name)
            self._open.add(name)

    def lacks(self, target: Target) -> bool:
        """Whether the proxy is still without a resource it will get."""
        if self.pending is not None and any(name in target for name in self.pending.removed):
            return True  # It is just being taken away, and has to come back first.
        return any(name not in self.held and self._is_due(name, target) for name in self._unsettled(target))

    def is_quiet(self, target: Target, removals: bool = False) -> bool:
        """Whether nothing (but removals, unless these count, too) is left to do, and nothing old is in force because
        its successor was refused."""
        if self.pending is not None or self.quarantined:
            return False
        names = (name for name in self._unsettled(target) if removals or name in target)
        return not any(self.is_wanted(name) and self._is_due(name, target) for name in names)

    def _groups(self) -> Iterator[Collection[str]]:
        while self.trials:
            yield self.trials.popleft()
        yield self._open

    def _unsettled(self, target: Target) -> Iterator[str]:
        """The names that may be due under a target: what is open, what is under way, and what it changes."""
        yield from self._open
        if self.pending is not None:
            yield from (resource.name for resource in self.pending.resources)
        if target is not self._base:
            yield from self._changed(target)

    def _is_due(self, name: str, target: Target) -> bool:
        resource = target.get(name)
        version = GONE if resource is None else resource.version
        refused = self.quarantined.get(name)
        if refused is not None and refused.version == version:
            return False
        return name in self.forced or name in self.unsure or self.held.get(name, GONE) != version

    def _build(self, names: Iterable[str], target: Target, nonce: str, may_remove: bool) -> DiscoveryResponse | None:
        resources: list[Resource] = []
        removed: list[str] = []
        size = 0
        for name in sorted(name for name in names if self.is_wanted(name) and self._is_due(name, target)):
            if (resource := target.get(name)) is None:
                # What the proxy waits for it must be told of, or its clusters never become warm.
                if may_remove or name not in self.held or name in self.forced:
                    removed.append(name)
            elif size < MOST_RESPONSE_BYTES:
                resources.append(resource)
                size += len(resource.body)
        if not resources and not removed:
            return None
        self.forced.difference_update(resource.name for resource in resources)
        self.forced.difference_update(removed)
        return DiscoveryResponse(self.type_url, nonce, tuple(resources), tuple(removed))
