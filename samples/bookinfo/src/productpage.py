"""The page a reader sees: it asks details and reviews, and shows what it gets, or that it got nothing.

browser ─▶ productpage ─┬▶ details
                        └▶ reviews (v1, v2, v3) ─▶ ratings (from v2 and v3)
"""

from __future__ import annotations

import threading

import page
from web import Handler, HTTPError, Peer, Request, Response, json_response, peer, product_id, serve

PRODUCT = {
    "id": 0,
    "title": "The Comedy of Errors",
    "descriptionHtml": "Twins parted by a shipwreck meet in one town, and for a day nobody knows who owes whom.",
}
# One failed try of reviews is tried again: what a reader waits for at most is twice this.
_DETAILS = peer("details", timeout_seconds=3.0)
_REVIEWS = peer("reviews", timeout_seconds=3.0)
_RATINGS = peer("ratings", timeout_seconds=3.0)
_LIMIT = 64

_lock = threading.Lock()
_counts: dict[int, int] = {}


def handle(request: Request) -> Response:
    response = _route(request)
    if request.path == "/productpage":
        with _lock:
            _counts[response.status] = _counts.get(response.status, 0) + 1
    return response


def _route(request: Request) -> Response:
    fixed: dict[str, Handler] = {
        "/": _index,
        "/index.html": _index,
        "/productpage": _product_page,
        "/login": _login,
        "/logout": _logout,
        "/health": lambda _: json_response({"status": "healthy"}),
        "/metrics": _metrics,
        "/api/v1/products": lambda _: json_response([PRODUCT]),
    }
    if request.path in fixed:
        return fixed[request.path](request)
    if request.path.startswith("/api/v1/products/"):
        return _interface(request)
    raise HTTPError(404, "there is /productpage, /api/v1/products and /health")


def _index(_: Request) -> Response:
    return Response(page.index().encode(), content_type="text/html; charset=utf-8")


def _product_page(request: Request) -> Response:
    """The page is answered with 200 even when parts of it are missing: a reader prefers half a page to none."""
    headers = _outgoing(request)
    details_status, details = _DETAILS.get_json("/details/0", headers)
    reviews_status, reviews = _ask_reviews(headers)
    text = page.product_page(
        product=PRODUCT,
        user=headers.get("end-user", ""),
        details=details if details_status == 200 and isinstance(details, dict) else None,
        reviews=reviews if reviews_status == 200 and isinstance(reviews, dict) else None,
    )
    return Response(text.encode(), content_type="text/html; charset=utf-8")


def _ask_reviews(headers: dict[str, str]) -> tuple[int, object]:
    status, answer = _REVIEWS.get_json("/reviews/0", headers)
    if status != 200:
        return _REVIEWS.get_json("/reviews/0", headers)
    return status, answer


def _outgoing(request: Request) -> dict[str, str]:
    """What the calls behind this request carry. Who the user is comes from the login alone, not from the outside."""
    headers = request.propagated()
    headers.pop("end-user", None)
    if user := _decode(request.cookie("user")):
        headers["end-user"] = user
    return headers


def _login(request: Request) -> Response:
    if request.method != "POST":
        raise HTTPError(405, "log in by POST with a field `username`")
    fields = dict(part.split("=", 1) for part in request.body.decode("latin-1").split("&") if "=" in part)
    user = _decode(fields.get("username", ""))
    return _redirect(f"user={user}; Path=/; HttpOnly; SameSite=Lax")


def _logout(_: Request) -> Response:
    return _redirect("user=; Path=/; Max-Age=0")


def _redirect(cookie: str) -> Response:
    return Response(b"", 302, "text/plain", {"location": "/productpage", "set-cookie": cookie})


def _decode(name: str) -> str:
    """A user's name from a form or cookie: what doesn't belong into a header is left out."""
    return "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "-_.@"))[:_LIMIT]


def _interface(request: Request) -> Response:
    """The same data for programs: /api/v1/products/<id>, …/reviews, …/ratings."""
    number, _, part = request.path.removeprefix("/api/v1/products/").partition("/")
    product = product_id(Request("GET", number, "", {}, b""), "")
    sources: dict[str, tuple[Peer, str]] = {
        "": (_DETAILS, f"/details/{product}"),
        "reviews": (_REVIEWS, f"/reviews/{product}"),
        "ratings": (_RATINGS, f"/ratings/{product}"),
    }
    if part not in sources:
        raise HTTPError(404, "there is /api/v1/products/<id>, …/reviews and …/ratings")
    service, path = sources[part]
    status, answer = service.get_json(path, _outgoing(request))
    if answer is None:
        return json_response({"error": f"{service.host} did not answer"}, 503)
    return json_response(answer, status)


def _metrics(_: Request) -> Response:
    """The application's own metrics, in Prometheus' text format."""
    lines = ["# TYPE bookinfo_productpage_requests_total counter"]
    with _lock:
        lines += [f'bookinfo_productpage_requests_total{{code="{code}"}} {_counts[code]}' for code in sorted(_counts)]
    return Response(("\n".join(lines) + "\n").encode(), content_type="text/plain; version=0.0.4")


if __name__ == "__main__":
    serve("productpage", handle)
