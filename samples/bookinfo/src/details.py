"""What is printed on a book's first pages."""

from __future__ import annotations

from web import HTTPError, Request, Response, json_response, product_id, serve


def handle(request: Request) -> Response:
    if request.path == "/health":
        return json_response({"status": "healthy"})
    if request.path.startswith("/details/"):
        return json_response(details(product_id(request, "/details/")))
    raise HTTPError(404, "there is /details/<product> and /health")


def details(product: int) -> dict[str, object]:
    return {
        "id": product,
        "author": "William Shakespeare",
        "year": 1594,
        "type": "paperback",
        "pages": 96,
        "publisher": "Blount and Jaggard",
        "language": "English",
        "ISBN-10": "1234567890",
        "ISBN-13": "123-1234567890",
    }


if __name__ == "__main__":
    serve("details", handle)
