"""Binary operators: arithmetic, comparison and set operators, with vector matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kaiki.telemetry.arrays import BoolArray, FloatArray
from kaiki.telemetry.errors import ExecutionError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.values import Scalar, Text, Value, Vector, empty, merged
from kaiki.telemetry.store.labels import Labels

_ARITHMETIC: dict[str, Any] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: dict[str, Any] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}
_SETS = frozenset({"and", "or", "unless"})
Signature = Callable[[Labels], Any]


@dataclass(frozen=True, slots=True)
class Matching:
    """How the two sides find each other. `names` are those of `on` or `ignoring`; `copied` those of `group_left(…)`."""

    card: str = "OneToOne"
    on: bool = False
    names: frozenset[str] = frozenset()
    copied: tuple[str, ...] = ()
    returns_bool: bool = False

    def signature(self) -> Signature:
        if self.on:
            wanted = sorted(self.names)
            return lambda labels: tuple([labels.get(name, "") for name in wanted])
        ignored = self.names | {NAME}
        return lambda labels: frozenset([pair for pair in labels.items() if pair[0] not in ignored])


def read_matching(modifier: Any) -> Matching:
    """From the parser's modifier, which may be None."""
    if modifier is None:
        return Matching()
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise ExecutionError("the fill modifiers of binary operators are not supported")
    matching = modifier.matching
    return Matching(
        card=str(modifier.card).rpartition(".")[2],
        on=matching is not None and str(matching.type).endswith("Include"),
        names=frozenset(matching.labels if matching is not None else ()),
        copied=tuple(modifier.group_labels or ()),
        returns_bool=bool(modifier.return_bool),
    )


def combine(operator: str, left: Value, right: Value, matching: Matching) -> Value:
    """Evaluates one operator. Raises ExecutionError when the sides do not match as the query says."""
    if isinstance(left, Text) or isinstance(right, Text):
        raise ExecutionError("binary expression must contain only scalar and instant vector types")
    if isinstance(left, Vector) and isinstance(right, Vector):
        if operator in _SETS:
            return _combine_sets(operator, left, right, matching)
        return _combine_vectors(operator, left, right, matching)
    if operator in _SETS:
        raise ExecutionError(f'set operator "{operator}" not allowed in binary scalar expression')
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return Scalar(_calculate(operator, left.values, right.values).astype(np.float64))
    return _combine_scalar(operator, left, right, matching)


def _calculate(operator: str, left: FloatArray, right: FloatArray) -> Any:
    function = _ARITHMETIC.get(operator) or _COMPARISONS.get(operator)
    if function is None:
        raise ExecutionError(f"the operator {operator} is not supported")
    return function(left, right)


def _combine_scalar(operator: str, left: Value, right: Value, matching: Matching) -> Vector:
    vector = left if isinstance(left, Vector) else right
    assert isinstance(vector, Vector)
    first = left.values[None, :] if isinstance(left, Scalar) else vector.values
    second = right.values[None, :] if isinstance(right, Scalar) else vector.values
    result = _calculate(operator, first, second)
    if operator in _COMPARISONS and not matching.returns_bool:
        return Vector(vector.labels, vector.values, vector.present & result, vector.nameless).pruned()
    return Vector(vector.labels, result.astype(np.float64), vector.present, vector.nameless).without_name()


def _combine_sets(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    signature = matching.signature()
    left, right = left.named(), right.named()
    if operator == "or":
        taken = _presence(left, signature)
        free = [mask & ~taken[key] if (key := signature(labels)) in taken else mask for labels, mask in _rows(right)]
        labels = [*left.labels, *right.labels]
        present = np.concatenate([left.present, np.array(free, np.bool_).reshape(right.present.shape)])
        return Vector(labels, np.concatenate([left.values, right.values]), present).pruned()
    other = _presence(right, signature)
    nothing = np.zeros(left.present.shape[1], np.bool_)
    met = [other.get(signature(labels), nothing) for labels in left.labels]
    mask = np.array(met, np.bool_).reshape(left.present.shape)
    return Vector(left.labels, left.values, left.present & (mask if operator == "and" else ~mask)).pruned()


def _rows(vector: Vector) -> list[tuple[Labels, BoolArray]]:
    return list(zip(vector.labels, vector.present, strict=True))


def _presence(vector: Vector, signature: Signature) -> dict[Any, BoolArray]:
    found: dict[Any, BoolArray] = {}
    for labels, mask in _rows(vector):
        key = signature(labels)
        found[key] = found[key] | mask if key in found else mask
    return found


def _combine_vectors(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    swapped = matching.card == "OneToMany"
    many, one = (right.named(), left.named()) if swapped else (left.named(), right.named())
    many_rows, one_rows, keys = _pair(many, one, matching, "left" if swapped else "right")
    if not many_rows:
        return empty(left.values.shape[1])
    first, second = (one, many) if swapped else (many, one)
    first_rows, second_rows = (one_rows, many_rows) if swapped else (many_rows, one_rows)
    result = _calculate(operator, first.values[first_rows], second.values[second_rows])
    present = many.present[many_rows] & one.present[one_rows]
    keeps_values = operator in _COMPARISONS and not matching.returns_bool
    if keeps_values:
        present = present & result
        result = first.values[first_rows]
    if matching.card == "OneToOne":
        _check_one_to_one(keys, present)
    labels = [
        _result_labels(many.labels[i], one.labels[j], matching, keeps_values)
        for i, j in zip(many_rows, one_rows, strict=True)
    ]
    paired = Vector(labels, result.astype(np.float64), present).pruned()
    return merged(paired, "multiple matches for labels: grouping labels must ensure unique matches")


def _pair(many: Vector, one: Vector, matching: Matching, side: str) -> tuple[list[int], list[int], list[Any]]:
    """All pairs of rows with the same signature."""
    signature = matching.signature()
    holders: dict[Any, list[int]] = {}
    for row, labels in enumerate(one.labels):
        holders.setdefault(signature(labels), []).append(row)
    for key, rows in holders.items():
        if len(rows) > 1 and (one.present[rows].sum(axis=0) > 1).any():
            raise ExecutionError(
                f"found duplicate series for the match group {_describe(key, matching)} on the {side} hand-side of the "
                "operation;many-to-many matching not allowed: matching labels must be unique on one side"
            )
    many_rows, one_rows, keys = [], [], []
    for row, labels in enumerate(many.labels):
        key = signature(labels)
        for other in holders.get(key, ()):
            many_rows.append(row)
            one_rows.append(other)
            keys.append(key)
    return many_rows, one_rows, keys


def _describe(key: Any, matching: Matching) -> str:
    pairs = zip(sorted(matching.names), key, strict=True) if matching.on else sorted(key)
    return "{" + ", ".join(f'{name}="{value}"' for name, value in pairs) + "}"


def _check_one_to_one(keys: list[Any], present: BoolArray) -> None:
    if len(set(keys)) == len(keys):
        return
    seen: dict[Any, BoolArray] = {}
    for key, mask in zip(keys, present, strict=True):
        before = seen.get(key)
        if before is not None and (before & mask).any():
            raise ExecutionError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        seen[key] = mask if before is None else before | mask


def _result_labels(many: Labels, one: Labels, matching: Matching, keeps_name: bool) -> Labels:
    if matching.card == "OneToOne":
        chosen = matching.names
        return {
            name: value
            for name, value in many.items()
            if (name in chosen) == matching.on and (keeps_name or name != NAME)
        }
    labels = {name: value for name, value in many.items() if keeps_name or name != NAME}
    for name in matching.copied:
        value = one.get(name, "")
        if value:
            labels[name] = value
        else:
            labels.pop(name, None)
    return labels
