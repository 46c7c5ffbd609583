"""What the user may do with objects, asked before they try: buttons say why they are off instead of failing.

    objects at hand ─▶ one SelfSubjectRulesReview a namespace, with the user's identity ─▶ may create, update, delete
                                      └ incomplete (a webhook decides too) ─▶ SelfSubjectAccessReviews for what is left

Answers are kept for some seconds. They only inform: the API server decides again at every change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kaiki.console.identity import Identities, Identity
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import ResourceType

KEPT_SECONDS = 10.0
MOST_KEPT = 500
_GROUP = "authorization.k8s.io/v1"
VERBS: Mapping[str, tuple[str, ...]] = {"create": ("create",), "update": ("get", "update"), "delete": ("delete",)}
"""What each change needs: an object is read, as the user, before it is replaced."""

Rule = Mapping[str, Any]


class Place(NamedTuple):
    """An object, or without a name one that is to be."""

    kind: ResourceType
    namespace: str
    name: str


class Rules(NamedTuple):
    """Everything a user may do in a namespace; `complete` unless somebody else decides as well."""

    rules: tuple[Rule, ...]
    complete: bool


class Rights:
    """Asks the API server as the user, and remembers for a moment."""

    def __init__(self, identities: Identities, clock: Callable[[], float] = time.monotonic) -> None:
        self._identities = identities
        self._clock = clock
        self._kept: dict[tuple[bytes, str], tuple[float, asyncio.Task[Rules]]] = {}

    async def of(self, identity: Identity, places: Iterable[Place]) -> list[dict[str, bool]]:
        """For each object whether the user may create, update and delete it. KubeError when nobody says."""
        asked = list(places)
        namespaces = sorted({place.namespace for place in asked})
        found = await asyncio.gather(*(self._rules(identity, namespace) for namespace in namespaces))
        known = dict(zip(namespaces, found, strict=True))
        verbs = tuple({verb for needed in VERBS.values() for verb in needed})
        wanted = {(place, verb) for place in asked for verb in verbs}
        granted = {(place, verb) for place, verb in wanted if _allows(known[place.namespace].rules, place, verb)}
        unsure = [one for one in sorted(wanted - granted, key=str) if not known[one[0].namespace].complete]
        granted |= await self._review(identity, unsure) if unsure else set()
        return [
            {change: all((place, verb) in granted for verb in needed) for change, needed in VERBS.items()}
            for place in asked
        ]

    async def _rules(self, identity: Identity, namespace: str) -> Rules:
        """Those who ask at the same moment share one request."""
        if not namespace:  # Rules of a namespace may be by a binding in it; only reviews know of the whole cluster.
            return Rules((), complete=False)
        key, now = (identity.key, namespace), self._clock()
        kept = self._kept.get(key)
        if kept is None or now - kept[0] > KEPT_SECONDS:
            self._kept = {old: entry for old, entry in self._kept.items() if now - entry[0] <= KEPT_SECONDS}
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[key] = now, asyncio.create_task(self._ask(identity, namespace))
        try:
            return await asyncio.shield(kept[1])
        except KubeError:
            self._kept.pop(key, None)
            raise

    async def _ask(self, identity: Identity, namespace: str) -> Rules:
        spec = {"namespace": namespace}
        async with self._identities.acting_as(identity) as client:
            status = await _ask(client, "SelfSubjectRulesReview", "selfsubjectrulesreviews", spec)
        return Rules(tuple(status.get("resourceRules") or ()), complete=not status.get("incomplete"))

    async def _review(self, identity: Identity, asked: list[tuple[Place, str]]) -> set[tuple[Place, str]]:
        async with self._identities.acting_as(identity) as client:

            async def one(place: Place, verb: str) -> bool:
                attributes = {"verb": verb, "group": place.kind.group, "resource": place.kind.plural}
                attributes |= {"namespace": place.namespace, "name": place.name}
                spec = {"resourceAttributes": attributes}
                return bool(
                    (await _ask(client, "SelfSubjectAccessReview", "selfsubjectaccessreviews", spec))["allowed"]
                )

            answers = await asyncio.gather(*(one(*question) for question in asked))
        return {question for question, allowed in zip(asked, answers, strict=True) if allowed}


async def _ask(client: KubeClient, kind: str, plural: str, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": _GROUP, "kind": kind, "spec": spec}
    answer = await client.request("POST", f"/apis/{_GROUP}/{plural}", body=body, call="ask what the user may do")
    return dict(answer.get("status") or {})


def _allows(rules: Iterable[Rule], place: Place, verb: str) -> bool:
    return any(
        _names(rule, "verbs", verb)
        and _names(rule, "apiGroups", place.kind.group)
        and _names(rule, "resources", place.kind.plural)
        and (not rule.get("resourceNames") or (verb != "create" and place.name in rule["resourceNames"]))
        for rule in rules
    )


def _names(rule: Rule, key: str, word: str) -> bool:
    return any(each in ("*", word) for each in rule.get(key) or ())
