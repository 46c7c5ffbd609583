"""YAML as it is edited: lines of fields, and texts that are refused."""

from __future__ import annotations

import pytest

from kaiki.console.documents import Document, YamlProblem, write_document

TEXT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - destination:
        host: reviews
  - timeout: 3s
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("spec.http[0].route[0].destination.host", 10),
        ("spec.http[1].timeout", 11),
        ("spec.http[0].route[0].destination.subset", 9),
        ("spec.gateways", 5),
        ("nothing", 1),
    ],
)
def test_the_line_of_a_field(path: str, line: int) -> None:
    assert Document(TEXT).line_of(path) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [", 1), ("", 1), ("- a", 1), ("a: 1\n---\nb: 2", 1), (TEXT + "x: &a 1\ny: *a\n", 13), ("kind: A", 1)],
)
def test_texts_that_are_refused(text: str, line: int) -> None:
    with pytest.raises(YamlProblem) as caught:
        Document(text)
    assert caught.value.line == line or text == "a: ["


def test_what_the_server_fills_in_is_not_edited() -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "A",
        "metadata": {
            "name": "a",
            "uid": "x",
            "resourceVersion": "4",
            "labels": {"b": "c"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": {},
        "status": {"d": 1},
    }
    assert Document(write_document(obj)).object == {
        "apiVersion": "v1",
        "kind": "A",
        "metadata": {"name": "a", "labels": {"b": "c"}},
        "spec": {},
    }
