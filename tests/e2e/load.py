"""A steady stream of requests from threads of the test, remembered one by one: what failed, and how."""

from __future__ import annotations

import collections
import threading
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Self


class SteadyLoad:
    """Requests to one URL at a fixed rate while the block runs; `outcomes` counts statuses and errors by name."""

    def __init__(self, url: str, requests_per_second: float = 20.0, timeout_seconds: float = 15.0) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._url, self._interval, self._timeout = url, 1.0 / requests_per_second, timeout_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def failures(self) -> dict[str, int]:
        """Everything that was not a 200."""
        return {name: count for name, count in self.outcomes.items() if name != "200"}

    def wait_for_more(self, count: int) -> None:
        """Let at least this many more requests be answered."""
        goal = self.outcomes.total() + count
        while self.outcomes.total() < goal:
            time.sleep(self._interval)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                with urllib.request.urlopen(self._url, timeout=self._timeout) as response:
                    response.read()
                    self.outcomes[str(response.status)] += 1
            except urllib.error.HTTPError as error:
                with error:
                    self.outcomes[str(error.code)] += 1
            except OSError as error:
                self.outcomes[type(error).__name__] += 1
