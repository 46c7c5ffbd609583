"""Which namespaces may attach something: `All`, `Same`, `None`, or those with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def from_namespaces(
    allowed: Mapping[str, Any], default: str, own: str, namespace: str, labels: Mapping[str, str]
) -> bool:
    """Whether what is in `namespace` may attach to an object in `own`."""
    match str(allowed.get("from") or default):
        case "All":
            return True
        case "Same":
            return namespace == own
        case "Selector":
            return selects(allowed.get("selector") or {}, labels)
    return False


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Kubernetes' label selector; an empty one selects everything."""
    wanted = (selector.get("matchLabels") or {}).items()
    if any(labels.get(key) != value for key, value in wanted):
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or ())


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(rule.get("key")), [str(value) for value in rule.get("values") or ()]
    match rule.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
