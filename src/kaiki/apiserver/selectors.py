"""Label and field selectors: reading them, and telling whether a record matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaiki.apiserver.errors import bad_request
from kaiki.apiserver.store import Record

Labels = Mapping[str, str]
_TERM = re.compile(r"\s*(!?)\s*([^\s!=,()]+)\s*(?:(==|=|!=)\s*([^\s,()]*)|\s(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)")


@dataclass(frozen=True)
class Selector:
    """A request's label and field selectors together. Without terms it matches everything, at no cost."""

    label_terms: tuple[Callable[[Labels], bool], ...] = ()
    field_terms: tuple[tuple[tuple[str, ...], str, bool], ...] = ()

    def matches(self, record: Record) -> bool:
        """Whether the record's object is selected; the object is parsed only for fields other than its name."""
        if not all(term(record.labels) for term in self.label_terms):
            return False
        if not self.field_terms:
            return True
        value: Any = None
        for path, wanted, equal in self.field_terms:
            if path == ("metadata", "name"):
                found = record.name
            elif path == ("metadata", "namespace"):
                found = record.namespace
            else:
                value = value or record.load()
                found = _look_up(value, path)
            if (found == wanted) != equal:
                return False
        return True


def parse_selector(labels: str, fields: str) -> Selector:
    """The selectors of a request's query; ApiError 400 for one that cannot be read."""
    return Selector(tuple(parse_labels(labels)) if labels else (), tuple(_parse_fields(fields)) if fields else ())


_SELECTABLE = {
    "pods": (
        "spec.hostNetwork spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName "
        "status.nominatedNodeName status.phase status.podIP"
    ),
    "events": (
        "action involvedObject.apiVersion involvedObject.fieldPath involvedObject.kind involvedObject.name "
        "involvedObject.namespace involvedObject.resourceVersion involvedObject.uid reason regarding.kind "
        "regarding.name regarding.namespace regarding.uid reportingComponent reportingController source type"
    ),
    "certificatesigningrequests": "spec.signerName",
    "jobs": "status.successful",
    "namespaces": "status.phase",
    "nodes": "spec.unschedulable",
    "replicasets": "status.replicas",
    "replicationcontrollers": "status.replicas",
    "secrets": "type",
    "services": "spec.clusterIP spec.type",
}


def check_fields(plural: str, selector: Selector, declared: Sequence[str] | None = None) -> None:
    """ApiError 400 when objects of this kind cannot be selected by one of these fields.

    An empty answer would hide the mistake. The table is Kubernetes's, from its documentation of field selectors;
    `declared` are those that a CRD's `selectableFields` name, None for a built-in kind.
    """
    more = _SELECTABLE.get(plural, "").split() if declared is None else declared
    allowed = {"metadata.name", "metadata.namespace", *more}
    for path, _, _ in selector.field_terms:
        if (name := ".".join(path)) not in allowed:
            raise bad_request(f"field label not supported: {name}; {plural} have {', '.join(sorted(allowed))}")


def parse_labels(text: str) -> list[Callable[[Labels], bool]]:
    """The terms of a label selector such as `app=web,tier in (a,b),!legacy`."""
    terms = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if not match or match.end() == at:
            raise bad_request(f"unable to parse requirement: found '{text[at:]}' in label selector \"{text}\"")
        terms.append(_label_term(*match.groups()))
        at = match.end()
    return terms


def _label_term(negation: str, key: str, sign: str, value: str, word: str, listed: str) -> Callable[[Labels], bool]:
    if sign in ("=", "=="):
        return lambda labels: labels.get(key) == value
    if sign == "!=":
        return lambda labels: labels.get(key) != value
    if word:
        values = frozenset(each.strip() for each in listed.split(","))
        return _in(key, values) if word == "in" else _not_in(key, values)
    return (lambda labels: key not in labels) if negation else (lambda labels: key in labels)


def _in(key: str, values: frozenset[str]) -> Callable[[Labels], bool]:
    return lambda labels: labels.get(key) in values


def _not_in(key: str, values: frozenset[str]) -> Callable[[Labels], bool]:
    return lambda labels: labels.get(key) not in values


def matches_label_selector(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether labels match a `metav1.LabelSelector` object; an empty or absent one matches everything."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_matches_expression(each, labels) for each in selector.get("matchExpressions") or ())


def _matches_expression(expression: Mapping[str, Any], labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _parse_fields(text: str) -> list[tuple[tuple[str, ...], str, bool]]:
    terms = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, sign, value = match.groups()
        terms.append((tuple(path.split(".")), value.replace("\\,", ","), sign != "!="))
    return terms


def _look_up(value: Any, path: tuple[str, ...]) -> str:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
