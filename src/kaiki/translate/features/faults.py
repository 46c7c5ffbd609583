"""Faults put in on purpose: delays and aborts, decided by the proxy of the caller."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.type.v3 import percent_pb2

from kaiki.model.route import Fault
from kaiki.translate.encode import duration, pack

FAULT_FILTER = "envoy.filters.http.fault"
_MILLION = 1_000_000


def fraction(percent: float) -> percent_pb2.FractionalPercent:
    """A percentage with four decimal places, as a fraction of a million."""
    return percent_pb2.FractionalPercent(
        numerator=min(round(percent * _MILLION / 100), _MILLION), denominator=percent_pb2.FractionalPercent.MILLION
    )


def set_fault(route: route_components_pb2.Route, fault: Fault | None) -> None:
    """Give a route its faults."""
    if fault is None:
        return
    from envoy.extensions.filters.http.fault.v3 import fault_pb2

    config = fault_pb2.HTTPFault()
    if fault.delay is not None and fault.delay.seconds > 0:
        config.delay.fixed_delay.CopyFrom(duration(fault.delay.seconds))
        config.delay.percentage.CopyFrom(fraction(fault.delay.percent))
    if fault.abort is not None:
        if fault.abort.grpc_status is not None:
            config.abort.grpc_status = fault.abort.grpc_status
        else:
            config.abort.http_status = fault.abort.http_status
        config.abort.percentage.CopyFrom(fraction(fault.abort.percent))
    route.typed_per_filter_config[FAULT_FILTER].CopyFrom(pack(config))
