"""Delegation: a VirtualService leaves what a rule matches to another, which has no hosts (Istio, "Delegate").

    root http[i]: match M, delegate D        →   for every rule of D: M and its own conditions, its own action
                                                  whatever the rule leaves open comes from the root's rule

One level deep. A rule whose conditions contradict the root's can never hold; it is left out and found (KAI0212).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from kaiki.model.memo import Memo
from kaiki.model.route import (
    NO_HEADER_CHANGES,
    Action,
    Delegated,
    Forward,
    HeaderChanges,
    HttpMatch,
    HttpRoute,
    MatchKind,
    NamedMatch,
    TextMatch,
    VirtualService,
)

Key = tuple[str, str]


def resolve_delegates(items: Iterable[VirtualService], memo: Memo) -> list[VirtualService]:
    """All VirtualServices, with the rules of those they delegate to in their place."""
    known = list(items)
    by_key = {(item.source.namespace, item.source.name): item for item in known if not item.hosts}
    return [_resolved(item, by_key, memo) for item in known]


def _resolved(item: VirtualService, by_key: Mapping[Key, VirtualService], memo: Memo) -> VirtualService:
    keys = [delegate_key(route) for route in item.http]
    if not any(keys):
        return item
    pieces = tuple(by_key.get(key) if key else None for key in keys)
    return memo.get(_merged, item, pieces)


def delegate_key(route: HttpRoute) -> Key | None:
    """(namespace, name) of what a rule delegates to, or None."""
    return (route.action.namespace, route.action.name) if isinstance(route.action, Delegated) else None


def _merged(item: VirtualService, delegates: tuple[VirtualService | None, ...]) -> VirtualService:
    routes: list[HttpRoute] = []
    for route, delegate in zip(item.http, delegates, strict=True):
        if not isinstance(route.action, Delegated):
            routes.append(route)
        elif delegate is not None and is_delegate_of(delegate, item):
            routes += merged_routes(route, delegate)
    return replace(item, http=tuple(routes))


def is_delegate_of(delegate: VirtualService, root: VirtualService) -> bool:
    """Whether the root's namespace may see the delegate."""
    return "*" in delegate.export_to or root.source.namespace in delegate.export_to


def merged_routes(root: HttpRoute, delegate: VirtualService) -> Iterator[HttpRoute]:
    """The delegate's rules under one rule of the root's; those that can hold, and that do not delegate again."""
    for route in delegate.http:
        matches = merge_matches(root.matches, route.matches)
        if isinstance(route.action, Delegated) or matches is None:
            continue
        yield replace(
            route,
            action=_action(root, route),
            matches=matches,
            name="-".join(part for part in (root.name, route.name) if part),
            timeout_seconds=route.timeout_seconds if route.timeout_seconds is not None else root.timeout_seconds,
            retries=route.retries or root.retries,
            fault=route.fault or root.fault,
            mirrors=route.mirrors or root.mirrors,
            cors=route.cors or root.cors,
            request_headers=_or(route.request_headers, root.request_headers),
            response_headers=_or(route.response_headers, root.response_headers),
        )


def _or(mine: HeaderChanges, theirs: HeaderChanges) -> HeaderChanges:
    return theirs if mine == NO_HEADER_CHANGES else mine


def _action(root: HttpRoute, route: HttpRoute) -> Action:
    """What the delegate does, with the root's rewrite where it has none."""
    if isinstance(route.action, Forward) and route.action.rewrite is None and isinstance(root.action, Delegated):
        return replace(route.action, rewrite=root.action.rewrite)
    return route.action


def merge_matches(root: tuple[HttpMatch, ...], delegate: tuple[HttpMatch, ...]) -> tuple[HttpMatch, ...] | None:
    """Both at once, alternative by alternative; None if no two of them can hold together."""
    if not root or not delegate:  # Those of the root are written in another object than the rule.
        return tuple(replace(match, index=-1) for match in root) or delegate
    merged = [_both(one, other) for one in root for other in delegate]
    return tuple(match for match in merged if match is not None) or None


def _both(root: HttpMatch, match: HttpMatch) -> HttpMatch | None:
    texts = {}
    for field in ("uri", "scheme", "method", "authority"):
        ours, theirs = getattr(root, field), getattr(match, field)
        if ours is not None and theirs is not None and not _narrows(ours, theirs):
            return None
        texts[field] = theirs or ours
    if not (_agree(root.headers, match.headers) and _agree(root.query_parameters, match.query_parameters)):
        return None
    plain = {}
    for field in ("port", "source_namespace", "statistics_prefix"):
        ours, theirs = getattr(root, field), getattr(match, field)
        if ours and theirs and ours != theirs and field != "statistics_prefix":
            return None
        plain[field] = theirs or ours
    labels = dict(root.source_labels)
    if any(labels.get(key, value) != value for key, value in match.source_labels):
        return None
    return replace(
        match,
        **texts,
        **plain,
        name="-".join(part for part in (root.name, match.name) if part),
        headers=tuple(dict.fromkeys((*root.headers, *match.headers))),
        query_parameters=tuple(dict.fromkeys((*root.query_parameters, *match.query_parameters))),
        source_labels=tuple(sorted({**labels, **dict(match.source_labels)}.items())),
        gateways=match.gateways or root.gateways,
    )


def is_within(match: HttpMatch, wider: HttpMatch) -> bool:
    """Whether every request that a match takes is one the wider takes, in every proxy it exists in."""
    for field in ("uri", "scheme", "method", "authority"):
        ours, theirs = getattr(match, field), getattr(wider, field)
        if theirs is not None and (ours is None or not _narrows(theirs, ours)):
            return False
    for field in ("port", "source_namespace", "gateways"):
        if getattr(wider, field) and getattr(wider, field) != getattr(match, field):
            return False
    if not set(wider.source_labels) <= set(match.source_labels):
        return False
    return _all_within(match.headers, wider.headers) and _all_within(match.query_parameters, wider.query_parameters)


def _all_within(conditions: tuple[NamedMatch, ...], wider: tuple[NamedMatch, ...]) -> bool:
    return all(
        any(
            mine == other
            or (mine.name == other.name and not (mine.invert or other.invert) and _narrows(other.match, mine.match))
            for mine in conditions
        )
        for other in wider
    )


def _narrows(root: TextMatch, text: TextMatch) -> bool:
    """Whether every text the delegate takes is one the root takes."""
    if root == text or root.kind is MatchKind.PRESENT:
        return True
    if root.kind is not MatchKind.PREFIX or text.kind not in (MatchKind.EXACT, MatchKind.PREFIX):
        return False
    if root.ignore_case:
        return text.value.lower().startswith(root.value.lower())
    return not text.ignore_case and text.value.startswith(root.value)


def _agree(root: tuple[NamedMatch, ...], match: tuple[NamedMatch, ...]) -> bool:
    known = {(item.name, item.invert): item.match for item in root}
    return all(_narrows(known.get((item.name, item.invert), item.match), item.match) for item in match)
