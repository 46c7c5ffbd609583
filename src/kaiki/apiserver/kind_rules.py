"""What Kubernetes asks of webhooks, disruption budgets and autoscalers beyond their schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaiki.apiserver.errors import FieldCause, invalid_value, required, unsupported_value

Object = dict[str, Any]
_PERCENT = re.compile(r"[0-9]+%")
_CHOICES = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "reinvocationPolicy": ("IfNeeded", "Never"),
}


def check_webhooks(value: Object, old: Object | None) -> Iterator[FieldCause]:
    """A mutating or validating webhook configuration."""
    names: set[str] = set()
    for at, webhook in enumerate(value.get("webhooks") or ()):
        path, name = f"webhooks[{at}]", str(webhook.get("name") or "")
        if name in names:
            yield FieldCause(f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
        names.add(name)
        for field, allowed in _CHOICES.items():
            if webhook.get(field, allowed[0]) not in allowed:
                yield unsupported_value(f"{path}.{field}", webhook[field], allowed)
        seconds = webhook.get("timeoutSeconds")
        if seconds is not None and not 1 <= seconds <= 30:
            yield invalid_value(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
        yield from _check_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig")


def _check_client(client: Object, path: str) -> Iterator[FieldCause]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    if url is not None and not str(url).startswith("https://"):
        why = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        yield invalid_value(f"{path}.url", url, why)


def check_budget(value: Object, old: Object | None) -> Iterator[FieldCause]:
    """A PodDisruptionBudget."""
    spec = value.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        yield FieldCause("spec", "FieldValueInvalid", f"Invalid value: {why}")
    for field in ("minAvailable", "maxUnavailable"):
        if (amount := spec.get(field)) is not None:
            yield from _check_amount(amount, f"spec.{field}")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy not in (None, "AlwaysAllow", "IfHealthyBudget"):
        yield unsupported_value("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))


def _check_amount(amount: int | str, path: str) -> Iterator[FieldCause]:
    if isinstance(amount, int):
        if amount < 0:
            yield invalid_value(path, amount, "must be greater than or equal to 0")
    elif not _PERCENT.fullmatch(amount):
        why = "a valid percent string must be a numeric string followed by an ending '%'"
        yield invalid_value(path, amount, why + " (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")
    elif int(amount[:-1]) > 100:
        yield invalid_value(path, amount, "must not be greater than 100%")


def check_autoscaler(value: Object, old: Object | None) -> Iterator[FieldCause]:
    """A HorizontalPodAutoscaler of either version."""
    spec = value["spec"]
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    if least < 1:
        yield invalid_value("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield invalid_value("spec.maxReplicas", most, "must be greater than 0")
    elif most < least:
        yield invalid_value("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            yield required(f"spec.scaleTargetRef.{field}")
