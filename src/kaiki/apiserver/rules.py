"""Rules of custom resources (`x-kubernetes-validations`): what a schema cannot say, said in CEL, held at each write.

A CRD's schema becomes a tree that holds only the places with rules. A rule that speaks of `oldSelf` compares with what
was there: fields by name, map values by key, elements of lists of type `map` by their keys; others have no past.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.durations import parse_duration
from kaiki.apiserver.errors import FieldCause, quoted
from kaiki.apiserver.expressions import Expression, ExpressionError, optional

Schema = Mapping[str, Any]
_REASONS = {
    "FieldValueInvalid": "Invalid value: {}: ",
    "FieldValueForbidden": "Forbidden: ",
    "FieldValueRequired": "Required value: ",
    "FieldValueDuplicate": "Duplicate value: {}: ",
}
_RESERVED = frozenset(
    ("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while")
)  # fmt: skip
_MARKS = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


@dataclass(frozen=True)
class Rule:
    """One rule of one place in the schema."""

    text: str
    expression: Expression
    message: str
    message_expression: Expression | None
    field_path: str
    reason: str
    is_transition: bool
    optional_old: bool


@dataclass
class Node:
    """A place in the schema that has rules, or that leads to some."""

    schema: Schema
    rules: list[Rule] = field(default_factory=list)
    properties: dict[str, Node] = field(default_factory=dict)
    values: Node | None = None
    items: Node | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.rules or self.properties or self.values or self.items)


_trees: WeakKeyDictionary[ResourceType, Node | None] = WeakKeyDictionary()


def check_rules(kind: ResourceType, value: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[FieldCause]:
    """What the rules of a custom resource find wrong with the object; `old` is what it replaces."""
    if kind not in _trees:
        schema = kind.load_schema() if kind.load_schema else {}
        _trees[kind] = None if b"x-kubernetes-validations" not in _dump(schema) else _tree(schema, [])
    tree = _trees[kind]
    return [] if tree is None else list(_check(tree, value, old, ""))


def _dump(schema: Schema) -> bytes:
    import orjson

    return orjson.dumps(schema)


def rule_problems(schema: Schema) -> list[str]:
    """The rules of a CRD's schema that cannot be in force here, as warnings."""
    if b"x-kubernetes-validations" not in _dump(schema):
        return []
    problems: list[str] = []
    _tree(schema, problems)
    return problems


def _tree(schema: Schema, problems: list[str], path: str = "") -> Node | None:
    node = Node(schema)
    for declared in schema.get("x-kubernetes-validations") or ():
        try:
            node.rules.append(_rule(declared))
        except ExpressionError as error:
            problems.append(f"{path or 'the object'}: the rule {declared.get('rule')!r} is not in force: {error}")
    for name, item in (schema.get("properties") or {}).items():
        if found := _tree(item, problems, f"{path}.{name}".lstrip(".")):
            node.properties[name] = found
    values, items = schema.get("additionalProperties"), schema.get("items")
    node.values = _tree(values, problems, f"{path}[*]") if isinstance(values, Mapping) else None
    node.items = _tree(items, problems, f"{path}[*]") if isinstance(items, Mapping) else None
    return None if node.is_empty else node


def _rule(declared: Mapping[str, Any]) -> Rule:
    text = str(declared.get("rule") or "")
    said = declared.get("messageExpression")
    expression = Expression(text)
    return Rule(
        text,
        expression,
        str(declared.get("message") or "").strip(),
        Expression(said) if said else None,
        str(declared.get("fieldPath") or ""),
        str(declared.get("reason") or "FieldValueInvalid"),
        "oldSelf" in expression.variables,
        bool(declared.get("optionalOldSelf")),
    )


def _check(node: Node, value: Any, old: Any, path: str) -> Iterator[FieldCause]:
    if value is None:
        return
    if node.rules:
        yield from _check_rules(node, value, old, path)
    if isinstance(value, dict):
        past = old if isinstance(old, dict) else {}
        for name, item in value.items():
            below = node.properties.get(name) or node.values
            if below is not None:
                step = f"{path}.{name}" if name in node.properties else f"{path}[{name}]"
                yield from _check(below, item, past.get(name), step.lstrip("."))
    elif isinstance(value, list) and node.items is not None:
        keys = tuple(node.schema.get("x-kubernetes-list-map-keys") or ())
        past_items = {_key(item, keys): item for item in old} if keys and isinstance(old, list) else {}
        for at, item in enumerate(value):
            yield from _check(node.items, item, past_items.get(_key(item, keys)), f"{path}[{at}]")


def _key(item: Any, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(repr(item.get(key)) for key in keys) if isinstance(item, dict) else ()


def _check_rules(node: Node, value: Any, old: Any, path: str) -> Iterator[FieldCause]:
    variables = {"self": bind(value, node.schema)}
    past = None if old is None else bind(old, node.schema)
    for rule in node.rules:
        if rule.is_transition and old is None and not rule.optional_old:
            continue
        scope = variables
        if rule.is_transition or rule.optional_old:
            scope = variables | {"oldSelf": optional(past) if rule.optional_old else past}
        cause = _cause(rule, scope, value, path)
        # What was wrong before and has not been touched is not held against a change elsewhere.
        if cause is not None and (rule.is_transition or old is None or old != value):
            yield cause


def _cause(rule: Rule, scope: Mapping[str, Any], value: Any, path: str) -> FieldCause | None:
    try:
        if rule.expression.evaluate(scope) is True:
            return None
        message = _message(rule, scope)
    except ExpressionError as error:
        message = f"rule evaluation error: {error} evaluating rule: {rule.message or rule.text}"
    where = f"{path}{rule.field_path}".lstrip(".") or "<nil>"
    start = _REASONS.get(rule.reason, _REASONS["FieldValueInvalid"])
    shown = '"object"' if isinstance(value, dict) else '"array"' if isinstance(value, list) else quoted(value)
    return FieldCause(where, rule.reason, start.format(shown) + message)


def _message(rule: Rule, scope: Mapping[str, Any]) -> str:
    if rule.message_expression is not None:
        try:
            said = rule.message_expression.evaluate(scope)
        except ExpressionError:
            said = None
        if isinstance(said, str) and said.strip() and "\n" not in said:
            return said
    return rule.message or f"failed rule: {' '.join(rule.text.split())}"


def bind(value: Any, schema: Schema) -> Any:
    """A value as CEL sees it by its schema: numbers, times and lengths of time typed, names of fields escaped."""
    if isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        others = others if isinstance(others, Mapping) else {}
        return {
            (escape(name) if name in properties else name): bind(item, properties.get(name, others))
            for name, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [bind(item, items) for item in value]
    if isinstance(value, str):
        return _typed(value, schema.get("format"))
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _typed(value: str, form: str | None) -> str | datetime | timedelta:
    try:
        if form == "date-time":
            return datetime.fromisoformat(value)
        if form == "duration":
            return timedelta(seconds=parse_duration(value))
    except ValueError:
        pass
    return value


def escape(name: str) -> str:
    """A field's name as an expression writes it: `namespace` is `__namespace__`, `a-b` is `a__dash__b`."""
    if name in _RESERVED:
        return f"__{name}__"
    if re.fullmatch(r"[A-Za-z_]\w*", name) and "__" not in name:
        return name
    for mark, word in _MARKS:
        name = name.replace(mark, word)
    return name
