"""The metrics store's client: instant and range queries over the Prometheus HTTP API."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import orjson

from kaiki.console.bucket_answer import read_histograms
from kaiki.console.column_answer import histograms_of, read_columns, samples_of
from kaiki.console.errors import MetricsUnavailable
from kaiki.graph import Histogram, Sample, TrafficSeries, read_traffic, traffic_queries


class Range(NamedTuple):
    """The times of a plot, Unix seconds; both ends are included."""

    start: float
    end: float
    step: int


class MetricsClient:
    """Asks one store. Equal graph queries within a second share one answer, so that ten viewers cost what one does."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._shared: dict[tuple[int, int, bool], asyncio.Task[TrafficSeries]] = {}

    async def close(self) -> None:
        """Drop connections and unfinished queries."""
        for task in self._shared.values():
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def traffic(self, duration_seconds: int, timestamp: float, *, by_pod: bool = False) -> TrafficSeries:
        """The series of a graph, by six queries, for the window that ends at `timestamp`. Raises MetricsUnavailable."""
        key = duration_seconds, int(timestamp), by_pod
        task = self._shared.get(key)
        if task is None or _failed(task):
            self._shared = {known: other for known, other in self._shared.items() if not other.done()}
            task = asyncio.create_task(self._ask_traffic(duration_seconds, timestamp, by_pod))
            task.add_done_callback(_failed)  # Looks at the failure, should everybody who waited be gone.
            self._shared[key] = task
        return await asyncio.shield(task)

    async def _ask_traffic(self, duration_seconds: int, timestamp: float, by_pod: bool) -> TrafficSeries:
        queries = traffic_queries(duration_seconds, by_pod)
        bucket_query = queries.pop("duration_buckets")
        buckets, vectors = await asyncio.gather(
            self._histograms(bucket_query, timestamp),
            asyncio.gather(*(self.vector(query, timestamp) for query in queries.values())),
        )
        return read_traffic(buckets, dict(zip(queries, vectors, strict=True)))

    async def _histograms(self, query: str, timestamp: float) -> Sequence[Histogram]:
        status, text = await self._post("query", {**_counted(query, timestamp), "pivot": "le"})
        if (columns := read_columns(text)) is not None:
            return histograms_of(columns)
        found = read_histograms(text)
        if found is None:  # No vector: what it is instead is told as for every other query.
            self._read(status, text)
            return ()
        return found

    async def vector(self, query: str, timestamp: float) -> Sequence[Sample]:
        """An instant query for increases. Raises MetricsUnavailable."""
        status, text = await self._post("query", _counted(query, timestamp))
        if (columns := read_columns(text)) is not None:
            return samples_of(columns)
        samples = (Sample(row["metric"], float(row["value"][1])) for row in self._read(status, text))
        return tuple(sample for sample in samples if math.isfinite(sample.value))

    async def matrix(self, query: str, span: Range) -> list[tuple[dict[str, str], dict[float, float]]]:
        """A range query: each series' labels and its finite values by time."""
        parameters = {"query": query, "start": f"{span.start:.3f}", "end": f"{span.end:.3f}", "step": str(span.step)}
        rows = await self._ask("query_range", parameters)
        return [(row["metric"], {float(at): float(value) for at, value in row["values"]}) for row in rows]

    async def cardinality(self) -> dict[str, Any]:
        """What the store finds of its labels and series; only the embedded one looks. Raises MetricsUnavailable."""
        found = (await self.status("tsdb") or {}).get("finding")
        return found if isinstance(found, dict) else {}

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._url

    async def status(self, what: str) -> dict[str, Any] | None:
        """A page of `/api/v1/status/…`; None where this store has none. Raises MetricsUnavailable."""
        try:
            async with self._opened().get(f"{self._url}/api/v1/status/{what}") as answer:
                body = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
            raise MetricsUnavailable(f"The metrics store cannot be reached: {cause}", "") from error
        except orjson.JSONDecodeError:
            return None
        data = body.get("data") if isinstance(body, dict) and body.get("status") == "success" else None
        return data if isinstance(data, dict) else None

    async def _ask(self, endpoint: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        return self._read(*await self._post(endpoint, parameters))

    async def _post(self, endpoint: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            async with self._opened().post(f"{self._url}/api/v1/{endpoint}", data=parameters) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
            raise MetricsUnavailable(f"The metrics store cannot be reached: {cause}", self._hint) from error

    @property
    def _hint(self) -> str:
        return f"Check that the metrics store at {self._url} runs (deployment prometheus in istio-system)."

    def _read(self, status: int, text: bytes) -> list[dict[str, Any]]:
        hint = self._hint
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = f"The metrics store answered HTTP {status} with something else than JSON"
            raise MetricsUnavailable(message, hint) from error
        if not isinstance(body, dict) or body.get("status") != "success":
            reason = (body.get("error") if isinstance(body, dict) else None) or f"HTTP {status}"
            raise MetricsUnavailable(f"The metrics store refused a query: {reason}", hint)
        result = body["data"]["result"]
        return result if isinstance(result, list) else []

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Packing costs the store more than the way from it does.
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers={"Accept-Encoding": "identity"})
        return self._session


def _counted(query: str, timestamp: float) -> dict[str, str]:
    """Our store counts exactly, and answers in packed columns, when asked to; another Prometheus ignores the words."""
    return {"query": query, "time": f"{timestamp:.3f}", "increase": "exact", "format": "packed"}


def _failed(task: asyncio.Task[TrafficSeries]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
