"""The configuration as JSON in the shape of Envoy's own `/config_dump`, without anything secret, for downloading."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from google.protobuf import json_format

from kaiki.console.effective.resources import ToldResource
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE, VIRTUAL_HOST_TYPE
from kaiki.translate.patches.values import BadValue, message_type

Object = dict[str, Any]
_PARTS = {
    CLUSTER_TYPE: ("ClustersConfigDump", "dynamic_active_clusters", "cluster"),
    ENDPOINT_TYPE: ("EndpointsConfigDump", "dynamic_endpoint_configs", "endpoint_config"),
    LISTENER_TYPE: ("ListenersConfigDump", "dynamic_listeners", "listener"),
    ROUTE_TYPE: ("RoutesConfigDump", "dynamic_route_configs", "route_config"),
    SECRET_TYPE: ("SecretsConfigDump", "dynamic_active_secrets", "secret"),
}
REDACTED = "[redacted]"
_SECRET_KEYS = frozenset(
    {"private_key", "password", "session_ticket_keys", "generic_secret", "token_secret", "hmac_secret", "client_secret"}
)
_SECRET_KEY_PARTS = frozenset({"k", "d", "p", "q", "dp", "dq", "qi", "oth"})
_SECRET_HEADERS = ("authorization", "cookie", "token", "secret", "password", "api-key", "apikey")


def dump(resources: Iterable[ToldResource]) -> Object:
    """`{configs: [{@type, dynamic_…: [{name, version_info, client_status, …}]}]}`."""
    parts: dict[str, list[Object]] = {type_url: [] for type_url in _PARTS}
    hosts: dict[str, list[Object]] = {}
    for told in resources:
        if told.type_url in parts:
            parts[told.type_url].append(_entry(told))
        elif told.type_url == VIRTUAL_HOST_TYPE:
            hosts.setdefault(told.name.rpartition("/")[0], []).append(_body(told))
    for entry in parts[ROUTE_TYPE]:  # As Envoy shows them: in their tables.
        if found := hosts.get(entry["name"]):
            entry["route_config"].setdefault("virtual_hosts", []).extend(found)
    return {
        "configs": [
            {"@type": f"type.googleapis.com/envoy.admin.v3.{_PARTS[type_url][0]}", _PARTS[type_url][1]: entries}
            for type_url, entries in parts.items()
        ]
    }


_STATUS = {"acknowledged": "ACKED", "refused": "NACKED", "waiting": "REQUESTED"}


def _entry(told: ToldResource) -> Object:
    body = {"@type": told.type_url} | _body(told)
    entry: Object = {
        "name": told.name,
        "version_info": told.version,
        "client_status": _STATUS.get(told.state, "UNKNOWN"),
    }
    member = _PARTS[told.type_url][2]
    if told.type_url == LISTENER_TYPE:  # Envoy nests this one once more.
        return entry | {"active_state": {"version_info": told.version, member: body}}
    return entry | {member: body}


def _body(told: ToldResource) -> Object:
    return dict(redact(readable(message_type(told.type_url).FromString(told.body))))


def readable(message: Any) -> Object:
    """A message as JSON. What is packed in it and of an unknown type stays as bytes."""
    _load_types(message)
    try:
        found = json_format.MessageToDict(message, preserving_proto_field_name=True)
    except (TypeError, json_format.SerializeToJsonError):
        return {"serialized": base64.b64encode(message.SerializeToString()).decode("ascii")}
    return dict(found)


def _load_types(message: Any) -> None:
    """Import what is needed to read the messages that are packed in this one, however deep."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [one for one in value.values() if hasattr(one, "ListFields")]
        else:
            values = list(value) if field.is_repeated else [value]
        for one in values:
            if one.DESCRIPTOR.full_name == "google.protobuf.Any":
                try:
                    _load_types(message_type(one.type_url).FromString(one.value))
                except BadValue:
                    continue
            else:
                _load_types(one)


def redact(value: Any) -> Any:
    """The same value with everything secret replaced: keys, passwords, and the values of headers that carry them."""
    if isinstance(value, Mapping):
        if _is_secret_header(value):
            return {**value, "value": REDACTED}
        if isinstance(text := value.get("inline_string"), str) and '"keys"' in text:
            return {**value, "inline_string": _public_keys(text)}
        return {name: REDACTED if name in _SECRET_KEYS else redact(item) for name, item in value.items()}
    return [redact(item) for item in value] if isinstance(value, list) else value


def _public_keys(text: str) -> str:
    """A set of keys that tokens are checked with (JWKS), without what signs them: shared secrets, private halves."""
    try:
        keys = orjson.loads(text)["keys"]
        shown = [{name: REDACTED if name in _SECRET_KEY_PARTS else part for name, part in key.items()} for key in keys]
    except (ValueError, TypeError, KeyError, AttributeError):
        return REDACTED if '"k"' in text or '"d"' in text else text
    return orjson.dumps({"keys": shown}).decode()


def _is_secret_header(value: Mapping[str, Any]) -> bool:
    name = value.get("key")
    if not isinstance(name, str) or not isinstance(value.get("value"), str):
        return False
    return any(word in name.lower() for word in _SECRET_HEADERS)
