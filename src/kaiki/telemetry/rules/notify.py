"""Tells Alertmanagers what fires and what is resolved: `POST <url>/api/v2/alerts`.

An alert is sent when it begins to fire, again every minute while it does, and for a while after its end. The queue is
bounded; an Alertmanager that does not answer costs the others nothing.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from collections import deque
from collections.abc import Sequence

import aiohttp
import orjson

from kaiki.telemetry.api.status import rfc3339
from kaiki.telemetry.rules.alerts import Alert
from kaiki.telemetry.rules.definitions import Rule
from kaiki.telemetry.rules.manager import close_quietly

log = logging.getLogger(__name__)
RESEND_MS = 60_000
QUEUED_ALERTS = 10_000
BATCH_ALERTS = 64
TIMEOUT_SECONDS = 10.0


class Notifier:
    """Use as an async context manager. `urls` are base addresses of Alertmanagers, path prefixes included."""

    def __init__(self, urls: tuple[str, ...], external_url: str = "http://prometheus.istio-system:9090") -> None:
        self.urls = urls
        self.sent = self.failed = self.dropped = 0
        self._external_url = external_url
        self._queue: deque[dict[str, object]] = deque()
        self._waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Notifier:
        self._task = asyncio.create_task(self._run(), name="alert notifications")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await close_quietly(self._task)

    def notify(self, rule: Rule, alerts: Sequence[Alert], now_ms: int, interval_ms: int) -> None:
        """Queues the alerts that it is time to tell of."""
        if not self.urls:
            return
        for alert in alerts:
            if not _is_due(alert, now_ms):
                continue
            alert.sent_ms = now_ms
            if len(self._queue) >= QUEUED_ALERTS:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(self._describe(rule, alert, now_ms, interval_ms))
            self._waiting.set()

    def _describe(self, rule: Rule, alert: Alert, now_ms: int, interval_ms: int) -> dict[str, object]:
        valid_until = alert.resolved_ms or now_ms + 4 * max(interval_ms, RESEND_MS)
        query = urllib.parse.urlencode({"g0.expr": rule.query, "g0.tab": "1"})
        return {
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "startsAt": rfc3339(alert.fired_ms),
            "endsAt": rfc3339(valid_until),
            "generatorURL": f"{self._external_url}/graph?{query}",
        }

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._waiting.wait()
                batch = [self._queue.popleft() for _ in range(min(BATCH_ALERTS, len(self._queue)))]
                if not self._queue:
                    self._waiting.clear()
                if batch:
                    body = orjson.dumps(batch)
                    done = await asyncio.gather(*(self._post(session, url, body) for url in self.urls))
                    self.sent += len(batch) * sum(done)
                    self.failed += len(batch) * (len(done) - sum(done))

    async def _post(self, session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
        try:
            headers = {"Content-Type": "application/json"}
            async with session.post(f"{url.rstrip('/')}/api/v2/alerts", data=body, headers=headers) as answer:
                if answer.status < 300:
                    return True
                problem: object = f"HTTP {answer.status}: {(await answer.text())[:200]}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = str(error) or type(error).__name__
        log.warning("the Alertmanager %s did not take alerts: %s", url, problem)
        return False


def _is_due(alert: Alert, now_ms: int) -> bool:
    if alert.state == "pending":
        return False
    if alert.resolved_ms > alert.sent_ms:
        return True
    return alert.sent_ms + RESEND_MS <= now_ms
