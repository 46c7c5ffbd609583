"""CEL as Envoy takes it: what would make it refuse a listener is found before."""

import pytest

from kaiki.interpret.expressions import expression_problem


@pytest.mark.parametrize(
    "expression",
    [
        "response.code >= 400",
        "connection.mtls && request.url_path.contains('v1beta3')",
        '!has(request.useragent) || !(request.useragent.startsWith("Amazon-Route53"))',
        "request.headers['x'] in ['a', \"b\"]",
        "request.host == 'x' ? 1 : 2",
        "re.extract(request.path, r'^/(.*)', '\\\\1')",
        "request.headers.exists(h, h == 'x')",
        "size(request.path) > 3 && {'a': 1}['a'] == -1.5e3",
        "request.duration > duration('1s') // slow",
    ],
)
def test_expressions(expression: str) -> None:
    assert expression_problem(expression) == ""


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("", "a value is missing"),
        ("foo.bar", "'foo' is no attribute"),
        ("response.code >=", "a value is missing at the end"),
        ("response.code 4", "'4' does not belong there"),
        ("(1", "')' is missing"),
        ("request.path.upper()", "'upper' is no function"),
        ("'open", "does not belong there"),
        ("request.", "a name is missing"),
        ("(" * 200, "nested too deep"),
        ("request.headers.exists(h, x)", "'x' is no attribute"),
    ],
)
def test_what_is_no_expression(expression: str, cause: str) -> None:
    assert cause in expression_problem(expression)
