"""Cross-origin resource sharing, by Envoy's own filter."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2

from kaiki.model.route import Cors
from kaiki.translate.encode import pack
from kaiki.translate.features.route_matching import set_text

CORS_FILTER = "envoy.filters.http.cors"


def set_cors(route: route_components_pb2.Route, cors: Cors | None) -> None:
    """Give a route its cross-origin rules."""
    if cors is None:
        return
    from envoy.extensions.filters.http.cors.v3 import cors_pb2

    policy = cors_pb2.CorsPolicy()
    for origin in cors.allow_origins:
        set_text(policy.allow_origin_string_match.add(), origin)
    policy.allow_methods = ",".join(cors.allow_methods)
    policy.allow_headers = ",".join(cors.allow_headers)
    policy.expose_headers = ",".join(cors.expose_headers)
    if cors.max_age_seconds is not None:
        policy.max_age = str(cors.max_age_seconds)
    if cors.allow_credentials is not None:
        policy.allow_credentials.value = cors.allow_credentials
    if cors.forward_unmatched_preflights is not None:
        policy.forward_not_matching_preflights.value = cors.forward_unmatched_preflights
    policy.filter_enabled.default_value.numerator = 100
    route.typed_per_filter_config[CORS_FILTER].CopyFrom(pack(policy))
