"""No proxy is started with a bootstrap that Envoy has not taken: patches are tried before any pod is made with them.

    interpretation ─new EnvoyFilters─▶ each by itself, at a sidecar's and a gateway's bootstrap ─┐
    a pod is made  ─several for it───▶ together, in the order they are applied ──────────────────┴▶ refusals ─▶ inputs

What is refused is left out of bootstraps and said of its object; its other patches, and other objects, go on. A patch
is tried once, for as long as it stays as it is.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from kaiki.app.proxies import gateway_arguments, render_bootstrap
from kaiki.inject.settings import BootstrapRequest
from kaiki.interpret.bootstrap_refusals import BOOTSTRAP_REFUSAL, refusal_of
from kaiki.interpret.interpretation import Interpretation
from kaiki.model.envoy_filter import EnvoyFilter, EnvoyPatch, PatchTarget
from kaiki.model.identity import WorkloadLabels
from kaiki.model.proxy import Capture
from kaiki.model.workload import ProxyKind
from kaiki.translate.patches import apply_patches, is_for_kind

logger = logging.getLogger(__name__)

Refusal = Callable[[Mapping[str, Any]], Awaitable[str]]
"""Why Envoy would not start with a bootstrap; empty if it would. Raises OSError when it cannot be asked."""
InputKey = tuple[str, str, str]


class BootstrapTrials:
    """Which patches Envoy refuses to start with: an input to interpretation, and what follows from it is followed."""

    def __init__(self, refusal: Refusal, bootstraps: Mapping[ProxyKind, Mapping[str, Any]]) -> None:
        self._refusal = refusal
        self._bootstraps = bootstraps
        self._verdicts: dict[str, dict[int, str]] = {}
        self._together: set[tuple[str, ...]] = set()
        self._inputs: dict[InputKey, Mapping[str, Any]] = {}
        self._usable = False
        self.busy = False
        """Whether something new is being tried, of which the present snapshot does not know yet."""
        self.changed: Callable[[], None] = lambda: None

    def inputs(self) -> Mapping[InputKey, Mapping[str, Any]]:
        """A refusal for each object that has a refused patch."""
        return self._inputs

    async def follow(self, interpretation: Interpretation) -> bool:
        """Try what is new, and forget what is gone. True if `inputs` changed."""
        filters = {item.bootstrap_edition: item for item in interpretation.snapshot.envoy_filters}
        filters.pop("", None)
        new = [item for edition, item in filters.items() if edition not in self._verdicts]
        self.busy = bool(new)
        try:
            verdicts = await asyncio.gather(*(self._try_alone(item) for item in new))
        finally:
            self.busy = False
        found = {item.bootstrap_edition: verdict for item, verdict in zip(new, verdicts, strict=True)}
        self._verdicts = {edition: {**self._verdicts, **found}[edition] for edition in filters}
        self._together = {editions for editions in self._together if filters.keys() >= set(editions)}
        return self._tell(filters.values())

    async def combine(self, filters: tuple[EnvoyFilter, ...], kind: ProxyKind) -> bool:
        """Try together what one proxy is to start with, in this order. True if `inputs` changed."""
        editions = tuple(item.bootstrap_edition for item in filters)
        if len(filters) < 2 or editions in self._together or not self._verdicts.keys() >= set(editions):
            return False
        patches = [(item, number, patch) for item in filters for number, patch in self._open(item, kind)]
        refused = await self._find([patch for _, _, patch in patches], kind)
        for place, reason in refused.items():
            item, number, _ = patches[place]
            if (known := self._verdicts.get(item.bootstrap_edition)) is not None:  # It may have changed meanwhile.
                known[number] = f"{reason.rstrip('.')} (beside the patches of other objects)"
        self._together.add(editions)
        if refused and self._tell(filters):
            self.changed()
            return True
        return False

    def _open(self, item: EnvoyFilter, kind: ProxyKind) -> list[tuple[int, EnvoyPatch]]:
        """The patches that a kind of proxy gets and that are not refused, numbered among the item's own."""
        patches = [patch for patch in item.patches if patch.target is PatchTarget.BOOTSTRAP]
        refused = self._verdicts.get(item.bootstrap_edition, {})
        return [
            (number, patch)
            for number, patch in enumerate(patches)
            if number not in refused and is_for_kind(patch, kind)
        ]

    async def _try_alone(self, item: EnvoyFilter) -> dict[int, str]:
        found: dict[int, str] = {}
        for kind in self._bootstraps:
            patches = self._open(item, kind)
            refused = await self._find([patch for _, patch in patches], kind)
            found |= {patches[place][0]: reason for place, reason in refused.items()}
        for number, reason in sorted(found.items()):
            logger.warning("EnvoyFilter %s, patch %d of the bootstrap is refused: %s", item.source, number, reason)
        return found

    async def _find(self, patches: list[EnvoyPatch], kind: ProxyKind) -> dict[int, str]:
        """Which of the patches Envoy does not take beside those before them: places and reasons."""
        if not patches or not await self._can_tell() or not await self._try(patches, kind):
            return {}
        found: dict[int, str] = {}
        for place in range(len(patches)):
            taken = [patch for other, patch in enumerate(patches[: place + 1]) if other not in found]
            if reason := await self._try(taken, kind):
                found[place] = reason
        return found

    async def _try(self, patches: list[EnvoyPatch], kind: ProxyKind) -> str:
        return await self._ask(apply_patches(self._bootstraps[kind], patches)) or ""

    async def _can_tell(self) -> bool:
        """Whether the Envoy at hand takes what nobody has patched; if not, its word is worth nothing."""
        if not self._usable:
            reasons = [await self._ask(document) for document in self._bootstraps.values()]
            self._usable = not any(reasons) and None not in reasons
            if reason := next(filter(None, reasons), ""):
                logger.warning("patches of bootstraps cannot be tried: Envoy refuses the plain one: %s", reason)
        return self._usable

    async def _ask(self, document: Mapping[str, Any]) -> str | None:
        """What Envoy says; None where it cannot be asked, which must keep nothing else from coming into force."""
        try:
            return await self._refusal(document)
        except OSError as error:
            logger.warning("patches of bootstraps cannot be tried: %s", error)
            return None

    def _tell(self, filters: Iterable[EnvoyFilter]) -> bool:
        known = {item.bootstrap_edition: item for item in filters}
        found = {
            (BOOTSTRAP_REFUSAL, item.source.namespace, item.source.name): refusal_of(item, reasons)
            for edition, reasons in self._verdicts.items()
            if reasons and (item := known.get(edition)) is not None
        }
        others = {key: value for key, value in self._inputs.items() if value["spec"]["edition"] in self._verdicts}
        # What says the same stays the same object: nothing is derived from it again.
        told = {**others, **{key: value for key, value in found.items() if others.get(key) != value}}
        changed = told != self._inputs
        self._inputs = told
        return changed


def plain_bootstraps(capture: Capture, istio_namespace: str, trust_domain: str) -> dict[ProxyKind, Mapping[str, Any]]:
    """What proxies start with where nobody patches anything."""
    arguments = gateway_arguments(capture, istio_namespace)
    labels = WorkloadLabels("trial", "trial", "trial", "", "trial", "latest")
    request = BootstrapRequest(ProxyKind.SIDECAR, labels, capture, istio_namespace, trust_domain)
    return {
        ProxyKind.SIDECAR: render_bootstrap(request),
        ProxyKind.GATEWAY: json.loads(arguments[arguments.index("--config-yaml") + 1]),
    }
