"""What readers say. SERVICE_VERSION decides about the stars: v1 shows none, v2 black ones, v3 red ones.

ENABLE_RATINGS and STAR_COLOR say the same thing one by one, for images that are configured that way.
"""

from __future__ import annotations

import os

from web import HTTPError, Request, Response, json_response, peer, product_id, serve

_VERSION = os.environ.get("SERVICE_VERSION") or "v1"
_COLOR = os.environ.get("STAR_COLOR") or ("red" if _VERSION == "v3" else "black")
_WITH_RATINGS = (os.environ.get("ENABLE_RATINGS") or str(_VERSION != "v1")).lower() == "true"
_POD_NAME = os.environ.get("HOSTNAME") or "unknown"
_CLUSTER_NAME = os.environ.get("CLUSTER_NAME") or "null"
_TEXTS = {
    "Reviewer1": "Two pairs of twins, one harbour, and nobody asks the obvious question. I laughed all the way home.",
    "Reviewer2": "The beatings have not aged well, the abbess has. Read it aloud, with friends, and quickly.",
}
# The patient one waits longer than the page does, the other gives up first: slow ratings look different in each.
_RATINGS = peer("ratings", timeout_seconds=2.5 if _COLOR == "red" else 10.0)


def handle(request: Request) -> Response:
    if request.path == "/health":
        return json_response({"status": "healthy"})
    if not request.path.startswith("/reviews/"):
        raise HTTPError(404, "there is /reviews/<product> and /health")
    product = product_id(request, "/reviews/")
    ratings = _ratings(product, request) if _WITH_RATINGS else None
    return json_response(
        {
            "id": str(product),
            "podname": _POD_NAME,
            "clustername": _CLUSTER_NAME,
            "reviews": [_review(reviewer, ratings) for reviewer in _TEXTS],
        }
    )


def _ratings(product: int, request: Request) -> dict[str, int]:
    """Stars by reviewer; none when ratings can't be had: a review is worth showing without its stars."""
    status, answer = _RATINGS.get_json(f"/ratings/{product}", request.propagated())
    stars = answer.get("ratings") if status == 200 and isinstance(answer, dict) else None
    return stars if isinstance(stars, dict) else {}


def _review(reviewer: str, ratings: dict[str, int] | None) -> dict[str, object]:
    review: dict[str, object] = {"reviewer": reviewer, "text": _TEXTS[reviewer]}
    if ratings is None:
        return review
    if reviewer in ratings:
        review["rating"] = {"stars": ratings[reviewer], "color": _COLOR}
    else:
        review["rating"] = {"error": "Ratings service is currently unavailable"}
    return review


if __name__ == "__main__":
    serve("reviews", handle)
