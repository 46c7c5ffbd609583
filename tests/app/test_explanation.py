"""What `kaiki explain request` is asked."""

from __future__ import annotations

import click
import pytest

from kaiki.cli.explain import request_of


def test_urls_and_headers() -> None:
    asked = request_of("https://shop:8443/a?b=c", headers=("X-User: anna", "Host: shop.example.org"))
    assert (asked.host, asked.port, asked.path, asked.server_name) == ("shop.example.org", 8443, "/a?b=c", "shop")
    assert asked.headers == {"x-user": "anna"}
    assert request_of("reviews:9080").http
    assert not request_of("tcp://db:5432").http


@pytest.mark.parametrize("url", ["ftp://a", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(click.UsageError):
        request_of(url)
