"""What small protobuf messages of Envoy's mean: the way back from `encode`."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf import duration_pb2

_DENOMINATORS = (100, 10_000, 1_000_000)
_REDIRECT_CODES = (301, 302, 303, 307, 308)
"""Both by the number of Envoy's enum."""


def seconds_of(value: duration_pb2.Duration) -> float:
    """A duration as a number."""
    return float(value.seconds + value.nanos / 1e9)


def percent_of(share: percent_pb2.FractionalPercent) -> float:
    """A share as 0 to 100."""
    return float(100.0 * share.numerator / _DENOMINATORS[share.denominator])


def redirect_code(redirect: route_components_pb2.RedirectAction) -> int:
    """The status a redirect answers with."""
    return _REDIRECT_CODES[redirect.response_code]
