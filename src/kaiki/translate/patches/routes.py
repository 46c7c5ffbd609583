"""Patches within one route table: the table, its virtual hosts, their routes."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2, route_pb2

from kaiki.model.envoy_filter import EnvoyPatch, PatchMatch, PatchOperation, PatchTarget
from kaiki.translate.patches.lists import change_list
from kaiki.translate.patches.values import merge, parse

_ACTIONS = {"ROUTE": "route", "REDIRECT": "redirect", "DIRECT_RESPONSE": "direct_response"}


def patch_table(table: route_pb2.RouteConfiguration, patch: EnvoyPatch) -> int:
    """Apply one patch to a route table; returns how many places it changed. Raises BadValue."""
    match = patch.match
    if not _table_fits(table.name, match):
        return 0
    if patch.target is PatchTarget.ROUTE_CONFIGURATION:
        if patch.operation is not PatchOperation.MERGE:
            return 0
        merge(table, parse(patch.value, route_pb2.RouteConfiguration))
        return 1
    if patch.target is PatchTarget.VIRTUAL_HOST:
        return change_list(
            table.virtual_hosts,
            route_components_pb2.VirtualHost,
            patch,
            lambda host: _host_fits(host, match),
            bool(match.virtual_host or match.domain),
        )
    return sum(
        change_list(
            host.routes,
            route_components_pb2.Route,
            patch,
            lambda route: _route_fits(route, match),
            bool(match.route) or match.route_action != "ANY",
        )
        for host in table.virtual_hosts
        if _host_fits(host, match)
    )


def _table_fits(name: str, match: PatchMatch) -> bool:
    if match.table and match.table != name:
        return False
    if match.gateway:
        namespace, _, gateway = match.gateway.rpartition("/")
        if not name.endswith(f".{gateway}.{namespace}" if namespace else f".{gateway}") and "http." not in name:
            return False
    if match.port_name and not _is_of_port(name, match.port_name):
        return False
    ports = [part for piece in name.split(":") for part in piece.split(".")]
    return not match.port or str(match.port) in ports or name.startswith("inbound")


def _is_of_port(name: str, port_name: str) -> bool:
    """Whether a gateway's table is of a port of this name: `https.443.<port name>.<gateway>.<namespace>`."""
    parts = name.split(".")
    return parts[0] == "https" and len(parts) > 3 and ".".join(parts[2:-2]) == port_name


def _host_fits(host: route_components_pb2.VirtualHost, match: PatchMatch) -> bool:
    if match.virtual_host and match.virtual_host != host.name:
        return False
    return not match.domain or match.domain in host.domains


def _route_fits(route: route_components_pb2.Route, match: PatchMatch) -> bool:
    if match.route and match.route != route.name:
        return False
    return match.route_action == "ANY" or route.HasField(_ACTIONS[match.route_action])
