"""How many stars readers gave.

Trouble on demand: RATINGS_DELAY_SECONDS lets every answer wait, RATINGS_FAULT_PERCENT lets that many in a hundred fail.
"""

from __future__ import annotations

import itertools
import json
import os
import threading

from web import HTTPError, Request, Response, json_response, product_id, serve

_DELAY_SECONDS = float(os.environ.get("RATINGS_DELAY_SECONDS") or 0)
_FAULT_PERCENT = float(os.environ.get("RATINGS_FAULT_PERCENT") or 0)
_DEFAULT = {"Reviewer1": 5, "Reviewer2": 4}
_given: dict[int, dict[str, int]] = {}
_requests = itertools.count(1)


def handle(request: Request) -> Response:
    if request.path == "/health":
        return json_response({"status": "healthy"})
    if not request.path.startswith("/ratings/"):
        raise HTTPError(404, "there is /ratings/<product> and /health")
    product = product_id(request, "/ratings/")
    _trouble()
    if request.method == "POST":
        _given[product] = _parse(request.body)
    return json_response({"id": product, "ratings": _given.get(product, _DEFAULT)})


def _trouble() -> None:
    """Spread faults evenly instead of by chance, so that a demonstration of 50 % shows 50 %."""
    if _DELAY_SECONDS > 0:
        threading.Event().wait(_DELAY_SECONDS)
    number = next(_requests)
    if int(number * _FAULT_PERCENT / 100) != int((number - 1) * _FAULT_PERCENT / 100):
        raise HTTPError(503, "ratings is told to fail")


def _parse(body: bytes) -> dict[str, int]:
    try:
        stars = json.loads(body)
        if isinstance(stars, dict) and all(type(value) is int and 0 <= value <= 5 for value in stars.values()):
            return stars
    except ValueError:
        pass
    raise HTTPError(400, 'ratings are a JSON object such as {"Reviewer1": 5}, with 0 to 5 stars')


if __name__ == "__main__":
    serve("ratings", handle)
