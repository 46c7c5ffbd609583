"""What Istio's kinds have in common: the base of all types, and the scalar types of its JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

DURATION_PATTERN = (
    r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|ns)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|ns))*$"
)
_DURATION_PART = re.compile(r"([0-9.]+)(h|ms|m|s|us|µs|ns)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

Duration = Annotated[str, Meta(pattern=DURATION_PATTERN)]
Unsigned = Annotated[int, Meta(ge=0, le=4294967295)]
PortNumber = Annotated[int, Meta(ge=0, le=65535)]
Percentage = Annotated[int, Meta(ge=0, le=100)]


class ApiType(msgspec.Struct, frozen=True, rename="camel"):
    """One object of the API. Unknown fields are ignored: the API server has already judged them.

    `ONE_OF` lists groups of fields of which at most one may be set; `REQUIRED_ONE_OF` those of which exactly one must
    be; `NOT_IN_FORCE` the fields that are stored but do nothing, each with what to do instead.
    """

    ONE_OF: ClassVar[tuple[tuple[str, ...], ...]] = ()
    REQUIRED_ONE_OF: ClassVar[tuple[tuple[str, ...], ...]] = ()
    NOT_IN_FORCE: ClassVar[Mapping[str, str]] = {}


class StringMatch(ApiType, frozen=True):
    """How to match a text: exactly, by prefix, or by an RE2 expression that matches all of it."""

    ONE_OF = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class Percent(ApiType, frozen=True):
    """A percentage from 0 to 100; fractions are allowed."""

    value: Annotated[float, Meta(ge=0, le=100)] = 0.0


class PortSelector(ApiType, frozen=True):
    """A port by its number."""

    number: PortNumber = 0


class WorkloadSelector(ApiType, frozen=True):
    """The pods that carry all of these labels."""

    match_labels: dict[str, str] = {}


class PolicyTargetReference(ApiType, frozen=True):
    """An object the policy is attached to, in its own namespace."""

    kind: str
    name: str
    group: str = ""
    namespace: str = ""


def seconds(text: str) -> float:
    """The seconds of a duration such as `1h30m`, `2s` or `100ms`."""
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def optional_seconds(text: str | None) -> float | None:
    """The seconds of a duration, or None where none is given."""
    return None if text is None else seconds(text)
