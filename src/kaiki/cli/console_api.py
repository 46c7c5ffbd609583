"""The console's API, asked by a command of the same home."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from kaiki.app.home import Home
from kaiki.app.machine import MachineError, require_running

REQUEST_TIMEOUT_SECONDS = 10


def ask_console(home: Home, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON object at a path. Raises MachineError when no console answers."""
    url = require_running(home).urls.get("console")
    if url is None or not home.console_token.exists():
        raise MachineError(
            "the console is not there yet: `kaiki kubectl get pods -n istio-system` shows how far it is."
        )
    token = home.console_token.read_text().strip()
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    request = urllib.request.Request(f"{url}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except (urllib.error.URLError, OSError) as error:
        raise MachineError(f"the console at {url} does not answer ({error}).") from error
