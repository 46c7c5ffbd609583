"""What a step of a simulation says, as a code with parameters: whoever shows it has a text for each in any language."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Code(StrEnum):
    """What was decided. Stable names: programs may ask for them."""

    LISTENER_TAKEN = "listenerTaken"
    LISTENER_MISSING = "listenerMissing"
    CHAIN_TAKEN = "chainTaken"
    CHAIN_ENDS_TLS = "chainEndsTls"
    CHAIN_MISSING = "chainMissing"
    TLS_UNEXPECTED = "tlsUnexpected"
    FILTER_MAY_CLOSE = "filterMayClose"
    FILTER_MAY_ANSWER = "filterMayAnswer"
    FILTER_MISSING = "filterMissing"
    FAULT_DELAYS = "faultDelays"
    FAULT_ANSWERS = "faultAnswers"
    FAULT_ANSWERS_GRPC = "faultAnswersGrpc"
    POLICY_ALLOWS = "policyAllows"
    POLICY_DENIES = "policyDenies"
    POLICY_NONE_ALLOWS = "policyNoneAllows"
    POLICY_WOULD_ALLOW = "policyWouldAllow"
    POLICY_WOULD_DENY = "policyWouldDeny"
    TABLE_TAKEN = "tableTaken"
    TABLE_MISSING = "tableMissing"
    HOST_TAKEN = "hostTaken"
    HOST_MISSING = "hostMissing"
    ROUTE_TAKEN = "routeTaken"
    ROUTE_MISSING = "routeMissing"
    ROUTE_WANTS_GRPC = "routeWantsGrpc"
    ROUTE_WANTS_PATH = "routeWantsPath"
    ROUTE_WANTS_HEADER = "routeWantsHeader"
    ROUTE_HEADER_DIFFERS = "routeHeaderDiffers"
    ROUTE_WANTS_PARAMETER = "routeWantsParameter"
    ROUTE_PARAMETER_DIFFERS = "routeParameterDiffers"
    REDIRECTED = "redirected"
    CLUSTER_TAKEN = "clusterTaken"
    CLUSTER_SUBSET_TAKEN = "clusterSubsetTaken"
    CLUSTER_MISSING = "clusterMissing"
    CLUSTER_ORIGINAL = "clusterOriginal"
    ENDPOINT_READY = "endpointReady"
    DESTINATION_ASKED = "destinationAsked"


Parameters = Mapping[str, str | int | float]

PARAMETERS: Mapping[Code, tuple[str, ...]] = {
    Code.LISTENER_MISSING: ("port",),
    Code.FAULT_DELAYS: ("seconds", "percent"),
    Code.FAULT_ANSWERS: ("status", "percent"),
    Code.FAULT_ANSWERS_GRPC: ("status", "percent"),
    Code.HOST_TAKEN: ("domain",),
    Code.HOST_MISSING: ("host",),
    Code.ROUTE_TAKEN: ("conditions",),
    Code.ROUTE_WANTS_GRPC: ("conditions",),
    Code.ROUTE_WANTS_PATH: ("conditions", "path"),
    Code.ROUTE_WANTS_HEADER: ("conditions", "header"),
    Code.ROUTE_HEADER_DIFFERS: ("conditions", "header", "value"),
    Code.ROUTE_WANTS_PARAMETER: ("conditions", "parameter"),
    Code.ROUTE_PARAMETER_DIFFERS: ("conditions", "parameter", "value"),
    Code.REDIRECTED: ("status",),
    Code.CLUSTER_TAKEN: ("endpoints",),
    Code.CLUSTER_SUBSET_TAKEN: ("subset", "endpoints"),
}
"""What each code comes with; those not named come with nothing.

`conditions` are of a route, in signs that need no translation: `/a*` begins with, `/a` is, `~/a.` fits, `/a/*` is or
lies below; `name:` a header, `?name` a parameter.
"""
