"""Bookinfo's pages as HTML. One file, no assets: it also has to look right behind a gateway without other routes."""

from __future__ import annotations

from collections.abc import Mapping

_STYLE = """
:root { --ink: #17252f; --soft: #5b6b77; --paper: #f5f3ee; --card: #fffdf9; --line: #e2ddd2;
  --sea: #0f5c7a; --red: #c22f2f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 Georgia, 'Times New Roman', serif; }
header { background: linear-gradient(120deg, #0b3f55, var(--sea)); color: #fff; }
header > div, main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem; }
header > div { display: flex; align-items: center; gap: 1rem; flex-wrap: wrap; }
header a { color: #fff; text-decoration: none; font-size: 1.15rem; letter-spacing: .04em; margin-right: auto; }
form, .user { display: flex; gap: .5rem; align-items: center; font: 14px system-ui, sans-serif; margin: 0; }
input, button { font: inherit; padding: .35rem .7rem; border-radius: .4rem; border: 1px solid rgba(255,255,255,.5); }
input { width: 9rem; } button { background: #fff; color: var(--sea); cursor: pointer; }
.user a { font-size: inherit; text-decoration: underline; margin: 0; letter-spacing: 0; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 1.2rem 0 .4rem; }
.lead { color: var(--soft); font-size: 1.1rem; margin: 0 0 1.5rem; }
.columns { display: grid; grid-template-columns: 1fr 1.4fr; gap: 1.5rem; align-items: start; }
@media (max-width: 44rem) { .columns { grid-template-columns: 1fr; } }
section { background: var(--card); border: 1px solid var(--line); border-radius: .8rem; padding: 1.2rem 1.4rem; }
h2 { font-size: 1.15rem; margin: 0 0 .8rem; color: var(--sea); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
blockquote { margin: 0 0 1rem; padding: 0 0 1rem; border-bottom: 1px solid var(--line); }
blockquote:last-of-type { border: 0; margin: 0; padding: 0; } blockquote p { margin: 0 0 .3rem; }
footer { color: var(--soft); font: 14px system-ui, sans-serif; display: flex; gap: .8rem; align-items: center; }
.stars { font-size: 1.1rem; letter-spacing: .1em; } .stars.black { color: #17252f; } .stars.red { color: var(--red); }
.error { color: var(--red); margin: 0; }
.served { color: var(--soft); font: 13px ui-monospace, monospace; margin: 1rem 0 0; }
"""

_FIELDS = {
    "author": "Author",
    "year": "Year",
    "type": "Type",
    "pages": "Pages",
    "publisher": "Publisher",
    "language": "Language",
    "ISBN-10": "ISBN-10",
    "ISBN-13": "ISBN-13",
}


def index() -> str:
    body = '<h1>Bookinfo</h1><p class="lead">One page, four services, three of them reviews.</p>'
    return _document(body + '<section><a href="/productpage">Open the product page</a></section>', "")


def product_page(
    product: Mapping[str, object],
    user: str,
    details: Mapping[str, object] | None,
    reviews: Mapping[str, object] | None,
) -> str:
    body = (
        f'<h1>{_text(product["title"])}</h1><p class="lead">{_text(product["descriptionHtml"])}</p>'
        f'<div class="columns">{_details(details)}{_reviews(reviews)}</div>'
    )
    return _document(body, user)


def _document(body: str, user: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Simple Bookstore App</title><style>{_STYLE}</style></head><body>"
        f'<header><div><a href="/">⛵ Bookinfo</a>{_who(user)}</div></header><main>{body}</main></body></html>'
    )


def _who(user: str) -> str:
    if user:
        return f'<span class="user">{_text(user)} <a href="/logout">Sign out</a></span>'
    return (
        '<form method="post" action="/login"><input name="username" placeholder="Your name" aria-label="Your name" '
        'required pattern="[A-Za-z0-9._@\\-]+"><button>Sign in</button></form>'
    )


def _details(details: Mapping[str, object] | None) -> str:
    if details is None:
        error = "The details service did not answer. Everything else on this page still works."
        return f'<section><h2>No details at the moment</h2><p class="error">{error}</p></section>'
    known = ((title, details[key]) for key, title in _FIELDS.items() if key in details)
    rows = "".join(f"<dt>{title}</dt><dd>{_text(value)}</dd>" for title, value in known)
    return f"<section><h2>Book Details</h2><dl>{rows}</dl></section>"


def _reviews(reviews: Mapping[str, object] | None) -> str:
    found = reviews.get("reviews") if reviews else None
    if reviews is None or not isinstance(found, list):
        error = "Sorry, product reviews are currently unavailable for this book."
        return f'<section><h2>Error fetching product reviews!</h2><p class="error">{error}</p></section>'
    quotes = "".join(_quote(review) for review in found)
    served = f'<p class="served">Reviews served by {_text(reviews.get("podname", "unknown"))}</p>'
    return f"<section><h2>Book Reviews</h2>{quotes}{served}</section>"


def _quote(review: Mapping[str, object]) -> str:
    rating = review.get("rating")
    stars = _stars(rating) if isinstance(rating, dict) else ""
    who = f"<span>{_text(review.get('reviewer', ''))}</span>"
    return f"<blockquote><p>{_text(review.get('text', ''))}</p><footer>{who}{stars}</footer></blockquote>"


def _stars(rating: Mapping[str, object]) -> str:
    number = rating.get("stars")
    if not isinstance(number, int):
        return f'<span class="error">{_text(rating.get("error", "no rating"))}</span>'
    color = "red" if rating.get("color") == "red" else "black"
    shown = "★" * number + "☆" * (5 - number)
    return f'<span class="stars {color}" title="{number} of 5">{shown}</span>'


def _text(value: object) -> str:
    text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")
