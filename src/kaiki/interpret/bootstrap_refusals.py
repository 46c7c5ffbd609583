"""What Envoy refuses of the bootstraps that EnvoyFilters patch, as an input beside the objects themselves.

Proxies are started with a bootstrap before they can say anything, so Envoy is asked by whoever makes the pods; the
answer comes here as an object of a kind of its own: the edition it is about, and reasons by the place of a patch among
the filter's patches of the bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kaiki.model.envoy_filter import EnvoyFilter, PatchTarget

BOOTSTRAP_REFUSAL = "BootstrapRefusal"


def refusal_of(item: EnvoyFilter, reasons: Mapping[int, str]) -> dict[str, Any]:
    """The input that says so."""
    source = item.source
    return {
        "kind": BOOTSTRAP_REFUSAL,
        "metadata": {"namespace": source.namespace, "name": source.name},
        "spec": {"edition": item.bootstrap_edition, "reasons": dict(reasons)},
    }


def with_refusals(filters: tuple[EnvoyFilter, ...], refusals: tuple[Mapping[str, Any], ...]) -> tuple[EnvoyFilter, ...]:
    """The filters, with what is known to be refused marked. An answer about what has changed since says nothing."""
    reasons = {one["spec"]["edition"]: one["spec"]["reasons"] for one in refusals}
    return tuple(_marked(item, reasons.get(item.bootstrap_edition) or {}) for item in filters) if reasons else filters


def _marked(item: EnvoyFilter, reasons: Mapping[int, str]) -> EnvoyFilter:
    if not reasons:
        return item
    places = (place for place, patch in enumerate(item.patches) if patch.target is PatchTarget.BOOTSTRAP)
    refused = {place: reasons[number] for number, place in enumerate(places) if number in reasons}
    patches = (replace(patch, refused=refused.get(place, "")) for place, patch in enumerate(item.patches))
    return replace(item, patches=tuple(patches))
