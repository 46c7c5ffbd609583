"""Rules of custom resources: in force, comparing with what was there, saying what is wrong and where."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.expressions import Expression, ExpressionError
from kaiki.apiserver.rules import check_rules, rule_problems


def kind(schema: Any) -> ResourceType:
    properties = {"type": "object", "properties": {"spec": schema}}
    return ResourceType("sea.example", "v1", "Boat", "boats", custom=True, load_schema=lambda: properties)


def complaints(schema: Any, new: Any, old: Any = None) -> list[str]:
    before = None if old is None else {"spec": old}
    return [f"{each.field}: {each.message}" for each in check_rules(kind(schema), {"spec": new}, before)]


def ruled(rule: str, kind: str = "object", **more: Any) -> dict[str, Any]:
    names = {"message", "messageExpression", "fieldPath", "reason", "optionalOldSelf"}
    declared = {"rule": rule} | {name: more.pop(name) for name in names & more.keys()}
    return {"type": kind, "x-kubernetes-validations": [declared], **more}


def test_messages_paths_and_reasons() -> None:
    schema = ruled("self.a <= self.b", message="a is too much", fieldPath=".a", reason="FieldValueForbidden")
    assert complaints(schema, {"a": 2, "b": 1}) == ["spec.a: Forbidden: a is too much"]
    assert complaints(schema, {"a": 1, "b": 1}) == []
    assert complaints(ruled("self > 1", "integer"), 1) == ["spec: Invalid value: 1: failed rule: self > 1"]
    spoken = ruled("self.a > 1", messageExpression="'only ' + string(self.a)")
    assert complaints(spoken, {"a": 1}) == ['spec: Invalid value: "object": only 1']
    silent = ruled("self.a > 1", messageExpression="self.b", message="at least two")
    assert complaints(silent, {"a": 1}) == ['spec: Invalid value: "object": at least two']
    assert "no such key: b" in complaints(ruled("self.b == 1"), {"a": 1})[0]


def test_transitions() -> None:
    once = ruled("self == oldSelf", "string", message="said once")
    assert complaints(once, "a") == []
    assert complaints(once, "a", "a") == []
    assert complaints(once, "b", "a") == ['spec: Invalid value: "b": said once']
    first = ruled("oldSelf.hasValue() || self == 'new'", "string", optionalOldSelf=True)
    assert complaints(first, "new") == []
    assert len(complaints(first, "other")) == 1
    assert complaints(first, "other", "before") == []


def test_elements_have_a_past_by_their_keys() -> None:
    element = ruled("self.port >= oldSelf.port", properties={"name": {"type": "string"}, "port": {"type": "integer"}})
    listed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": element,
    }
    old = [{"name": "a", "port": 5}, {"name": "b", "port": 1}]
    assert complaints(listed, [{"name": "b", "port": 1}, {"name": "a", "port": 6}], old) == []
    (wrong,) = complaints(listed, [{"name": "c", "port": 0}, {"name": "a", "port": 4}], old)
    assert wrong.startswith("spec[1]: Invalid value")
    plain = {"type": "array", "items": element}
    assert complaints(plain, [{"name": "a", "port": 4}], old) == []
    mapped = {"type": "object", "additionalProperties": ruled("self == oldSelf", "string")}
    assert complaints(mapped, {"x": "2"}, {"x": "1"})[0].startswith('spec[x]: Invalid value: "2"')


def test_what_was_wrong_before_is_not_held_against_another_change() -> None:
    schema = {"type": "object", "properties": {"a": ruled("self > 10", "integer"), "b": {"type": "string"}}}
    assert complaints(schema, {"a": 1, "b": "new"}, {"a": 1, "b": "old"}) == []
    assert len(complaints(schema, {"a": 2}, {"a": 1})) == 1


@pytest.mark.parametrize(
    ("rule", "value", "schema"),
    [
        ("self.__namespace__ == 'a' && self.x__dash__y == 1", {"namespace": "a", "x-y": 1}, ("namespace", "x-y")),
        ("self.?a.orValue('z') == 'z'", {}, ("a",)),
        ("!self.?a.?b.hasValue() && self.?c.value() == 1", {"c": 1}, ("a", "c")),
        ("(has(self.a) ? 1 : 0) + (has(self.b) ? 1 : 0) <= 1", {"a": 1}, ("a", "b")),
        ("isURL(self.u) && url(self.u).getScheme() in ['http', 'https']", {"u": "https://a.b:1/c"}, ("u",)),
        ("url(self.u).getHost() == 'a.b:1' && url(self.u).getPort() == '1'", {"u": "https://a.b:1/c"}, ("u",)),
        ("cidr(self.c).containsIP(self.i) && ip(self.i).family() == 4", {"c": "10.0.0.0/8", "i": "10.1.2.3"}, "ci"),
        ("isIP(self.i) && !isIP('x') && isCIDR('1.2.3.0/24') && !isCIDR('1.2.3.4')", {"i": "::1"}, "i"),
        ("quantity(self.q).isLessThan(quantity('1Gi')) && isQuantity('1k')", {"q": "200Mi"}, "q"),
        ("self.t.split(',').map(x, x.trim()).join('-').upperAscii() == 'A-B'", {"t": "a, b"}, "t"),
        ("self.t.find('[0-9]+') == '12' && self.t.findAll('[0-9]').size() == 2", {"t": "a12"}, "t"),
        ("[1, 2, 3].isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1", {}, ""),
        ("sets.contains([1, 2], [1]) && math.greatest(1, 2) == 2", {}, ""),
        ("!format.dns1123Label().validate(self.n).hasValue()", {"n": "good-name"}, "n"),
        ("self.n.matches('^[a-z-]+$') && self.n.size() == 9", {"n": "good-name"}, "n"),
        ("self.all(k, k.startsWith('x-'))", {"x-a": 1}, ""),
    ],
)
def test_language(rule: str, value: Any, schema: Any) -> None:
    properties = {name: {} for name in schema}
    assert complaints(ruled(rule, properties=properties), value) == []
    assert rule_problems({"properties": {"spec": ruled(rule)}}) == []


def test_types_by_schema() -> None:
    number = ruled("self.n + 0.5 == 1.5", properties={"n": {"type": "number"}})
    assert complaints(number, {"n": 1}) == []
    times = ruled(
        "self.t > timestamp('2020-01-01T00:00:00Z') && self.d < duration('1h')",
        properties={"t": {"type": "string", "format": "date-time"}, "d": {"type": "string", "format": "duration"}},
    )
    assert complaints(times, {"t": "2021-01-01T00:00:00Z", "d": "30m"}) == []


def test_a_rule_that_cannot_be_read_is_said() -> None:
    (problem,) = rule_problems({"properties": {"spec": ruled("self ===")}})
    assert problem.startswith("spec: the rule 'self ===' is not in force")
    with pytest.raises(ExpressionError):
        Expression("(")
