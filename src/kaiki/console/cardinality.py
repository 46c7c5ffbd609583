"""Whether the metrics store holds too many series, and which label makes them: for a notice on every page."""

from __future__ import annotations

from aiohttp import web

from kaiki.console.answers import answer_json
from kaiki.console.metrics import MetricsClient

_TEXTS = ("state", "label", "metric")
_NUMBERS = ("values", "series", "limit", "rejected")


class CardinalityHandlers:
    """The operation about the store's series."""

    def __init__(self, metrics: MetricsClient) -> None:
        self._metrics = metrics

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/cardinality", self.cardinality)]

    async def cardinality(self, request: web.Request) -> web.Response:
        """The store's finding; an empty `state` where nothing is wrong, or the store does not look for it."""
        found = await self._metrics.cardinality()
        texts = {name: str(found.get(name, "")) for name in _TEXTS}
        return answer_json({**texts, **{name: int(found.get(name) or 0) for name in _NUMBERS}})
