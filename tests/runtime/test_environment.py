"""Variables, expansion, references."""

from base64 import b64encode
from typing import Any

import pytest

from kaiki.runtime.environment import MissingReference, PodFacts, build_environment, expand
from kaiki.runtime.quantity import parse_quantity

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "default", "uid": "u1", "labels": {"app": "x", "a": 'q"'}},
    "spec": {"serviceAccountName": "sa", "nodeName": "kaiki"},
}


class Objects:
    def config_map(self, namespace: str, name: str) -> Any:
        return {"data": {"one": "1", "bad key": "x"}} if (namespace, name) == ("default", "cm") else None

    def secret(self, namespace: str, name: str) -> Any:
        return {"type": "Opaque", "data": {"two": b64encode(b"2").decode()}} if name == "secret" else None


def build(container: dict[str, Any]) -> dict[str, str]:
    facts = PodFacts(POD, "10.97.1.1", "10.97.0.1")
    return build_environment(facts, {"name": "c", **container}, {"BASE": "b"}, Objects(), {"cpu": "4", "memory": "8Gi"})


def field(path: str) -> dict[str, Any]:
    return {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "x"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'a="q\\""\napp="x"'),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "10.97.1.1"),
        ("status.hostIP", "10.97.0.1"),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert build(field(path))["X"] == value


def test_unknown_field() -> None:
    with pytest.raises(MissingReference, match=r"spec\.foo"):
        build(field("spec.foo"))


def test_sources_in_order() -> None:
    env = build(
        {
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "secret"}}],
            "env": [
                {"name": "two", "value": "mine $(P_one) $(later) $$(P_one)"},
                {"name": "later", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "two"}}},
                {"name": "gone", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}},
            ],
        }
    )
    assert env == {"BASE": "b", "P_one": "1", "two": "mine 1 $(later) $(P_one)", "later": "2"}


def test_missing_objects_are_named() -> None:
    with pytest.raises(MissingReference, match='configmap "none" not found'):
        build({"envFrom": [{"configMapRef": {"name": "none"}}]})
    with pytest.raises(MissingReference, match="couldn't find key k in secret default/secret"):
        build({"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "k"}}}]})


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "4"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "8192"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "requests.cpu"}, "1"),
    ],
)
def test_resources(reference: dict[str, str], value: str) -> None:
    container = {"resources": {"requests": {"cpu": "250m"}}}
    assert build({**container, "env": [{"name": "X", "valueFrom": {"resourceFieldRef": reference}}]})["X"] == value


def test_expand_leaves_the_unknown() -> None:
    assert expand("$(A) $(B) $A $$ $", {"A": "1"}) == "1 $(B) $A $ $"


def test_quantities() -> None:
    assert parse_quantity("1.5Gi") == 3 << 29 and parse_quantity("100m") * 10 == 1
    with pytest.raises(ValueError, match="'1x' is not a quantity"):
        parse_quantity("1x")
