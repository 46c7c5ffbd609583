"""How many errors are too many, for whom: the field's defaults, or what a configuration or an annotation says.

    health_config:
      rate:
      - namespace: shop           # regular expressions; absent: any
        kind: workload            # app, service or workload
        name: reviews-.*
        tolerance:
        - {code: 5XX, degraded: 5, failure: 20, protocol: http, direction: inbound}

The first rule that fits takes all defaults' place. The annotation `health.kiali.io/rate` of a workload or a service
goes before it: `5XX,5,20,http,inbound;4XX,10,20,http,inbound`. Figures are percentages. In codes `X` is any digit, and
`-` is a request without a response.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

ANNOTATION = "health.kiali.io/rate"
NO_RESPONSE = "0"
KINDS = ("app", "service", "workload")
_ANY = ".*"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Errors of one sort. Above the share `degraded` (from it on, if not 0) is degraded; from `failure` on failure.

    `name` is that of the default, or `configured`; `source` is default, configuration or annotation. `code`, `protocol`
    and `direction` are regular expressions, empty for any.
    """

    name: str
    code: str
    degraded: float
    failure: float
    protocol: str = ""
    direction: str = ""
    source: str = "default"

    def looks_at(self, direction: str) -> bool:
        """Whether it judges what goes in a direction; edges are looked at from the end they come to."""
        return _fits(self.direction or _ANY, "inbound" if direction == "edge" else direction)

    def counts(self, protocol: str, code: str) -> bool:
        """Whether an answer counts as an error."""
        if self.source == "default":
            return classify(protocol, code) == self.name
        if not _fits(self.protocol or _ANY, protocol):
            return False
        return _fits(self.code, code) or (code == NO_RESPONSE and _fits(self.code, "-"))

    @property
    def text(self) -> str:
        """As an annotation has it."""
        figures = f"{self.degraded * 100:g},{self.failure * 100:g}"
        return f"{self.code},{figures},{self.protocol or _ANY},{self.direction or _ANY}"


DEFAULTS = (
    Tolerance("grpc", "1-16", 0.0, 0.1, "grpc"),
    Tolerance("http4xx", "4XX", 0.1, 0.2),
    Tolerance("http5xx", "5XX", 0.0, 0.1),
    Tolerance("noResponse", "-", 0.0, 0.1),
)


def classify(protocol: str, code: str) -> str | None:
    """The default that counts this response code, or None for a success.

    gRPC codes are 1 to 16; a gRPC request may also end with an HTTP code. Code 0 over HTTP is a request without a
    response.
    """
    if protocol == "grpc" and len(code) < 3:
        return "grpc" if code != "0" else None
    if code == NO_RESPONSE:
        return "noResponse"
    if code.startswith("5"):
        return "http5xx"
    return "http4xx" if code.startswith("4") else None


@dataclass(frozen=True, slots=True)
class RateRule:
    """Whom tolerances are for: regular expressions, empty for any."""

    namespace: str
    kind: str
    name: str
    tolerances: tuple[Tolerance, ...]

    def fits(self, kind: str, namespace: str, name: str) -> bool:
        """Whether it is for this app, service or workload."""
        pairs = ((self.kind, kind), (self.namespace, namespace), (self.name, name))
        return all(_fits(pattern or _ANY, text) for pattern, text in pairs)


@dataclass(frozen=True, slots=True)
class Tolerances:
    """All that is configured. `annotated` is by (kind, namespace, name); `problems` are said to the user."""

    rules: tuple[RateRule, ...] = ()
    annotated: Mapping[tuple[str, str, str], tuple[Tolerance, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of(self, kind: str, namespace: str, names: Iterable[tuple[str, str]]) -> tuple[Tolerance, ...]:
        """Those for a thing. `names` are (kind, name): its own first, then those whose annotation holds for it too."""
        known = tuple(names)
        for other, name in known:
            if (found := self.annotated.get((other, namespace, name))) is not None:
                return found
        own = known[0][1] if known else ""
        return next((rule.tolerances for rule in self.rules if rule.fits(kind, namespace, own)), DEFAULTS)


def read_annotation(text: str) -> tuple[Tolerance, ...]:
    """The tolerances of an annotation. Raises ValueError."""
    found = []
    for part in filter(None, (one.strip() for one in text.split(";"))):
        fields = [one.strip() for one in part.split(",")]
        if len(fields) != 5:
            raise ValueError(f"{part!r} is not CODE,DEGRADED,FAILURE,PROTOCOL,DIRECTION")
        code, degraded, failure, protocol, direction = fields
        found.append(_tolerance(code, degraded, failure, protocol, direction, "annotation"))
    if not found:
        raise ValueError("it names no tolerance")
    return tuple(found)


def read_rules(config: Any) -> tuple[tuple[RateRule, ...], tuple[str, ...]]:
    """The rules of `health_config.rate`, and what is wrong: a rule that cannot be read is left out, and said."""
    rates = ((config or {}).get("health_config") or {}).get("rate") if isinstance(config, Mapping) else None
    rules, problems = [], []
    for position, rate in enumerate(rates or ()):
        try:
            rules.append(_rule(rate))
        except (ValueError, TypeError, AttributeError) as error:
            problems.append(f"health_config.rate[{position}]: {error}")
    return tuple(rules), tuple(problems)


def _rule(rate: Any) -> RateRule:
    namespace, kind, name = (str(rate.get(key) or "") for key in ("namespace", "kind", "name"))
    for pattern in (namespace, kind, name):
        _compile(pattern)
    tolerances = tuple(
        _tolerance(
            str(one.get("code") or ""),
            one.get("degraded") or 0,
            one.get("failure") or 0,
            str(one.get("protocol") or ""),
            str(one.get("direction") or ""),
            "configuration",
        )
        for one in rate.get("tolerance") or ()
    )
    if not tolerances:
        raise ValueError("it has no tolerance")
    return RateRule(namespace, kind, name, tolerances)


def _tolerance(code: str, degraded: Any, failure: Any, protocol: str, direction: str, source: str) -> Tolerance:
    shares = float(degraded) / 100, float(failure) / 100
    if not (0 <= shares[0] <= 1 and 0 < shares[1] <= 1):
        raise ValueError(f"degraded {degraded} and failure {failure} must be percentages, failure above 0")
    if not code:
        raise ValueError("a tolerance has no code")
    for pattern in (code, protocol, direction):
        _compile(pattern)
    return Tolerance("configured", code, *shares, protocol, direction, source)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> Any:
    try:
        return re2.compile(pattern.replace("X", r"\d").replace("x", r"\d") if _is_code(pattern) else pattern)
    except re2.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def _is_code(pattern: str) -> bool:
    """Whether X is a digit: in what holds nothing but digits, X and signs."""
    return not any(letter.isalpha() and letter not in "xX" for letter in pattern)


@lru_cache(maxsize=4096)
def _fits(pattern: str, text: str) -> bool:
    return _compile(pattern).fullmatch(text) is not None
