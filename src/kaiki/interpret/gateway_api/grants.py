"""ReferenceGrants: which references into another namespace its owner allows."""

from __future__ import annotations

from collections.abc import Iterable

from kaiki.interpret.gateway_api.objects import GROUP, Object, Reference
from kaiki.resources import core


class Grants:
    """All grants, by the namespace they open."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._found: set[tuple[str, str, str, str, str, str]] = set()
        for obj in objects:
            spec = core.spec(obj)
            for source in spec.get("from") or ():
                origin = (str(source.get("group") or ""), str(source.get("kind")), str(source.get("namespace")))
                for target in spec.get("to") or ():
                    what = (core.namespace(obj), str(target.get("kind")), str(target.get("name") or ""))
                    self._found.add((*origin, *what))

    def allow(self, kind: str, namespace: str, target: Reference, group: str = GROUP) -> bool:
        """Whether an object of `kind` in `namespace` may refer to `target`; within a namespace it always may."""
        if namespace == target.namespace:
            return True
        origin = (group, kind, namespace, target.namespace, target.kind)
        return (*origin, "") in self._found or (*origin, target.name) in self._found
