"""The labels of a request's metrics as one tag, and the program that makes them Istio's labels again.

Envoy's stats logger formats every tag of every metric for every request: four metrics with 24 labels each cost a proxy
more than all else that telemetry does. So the labels of a request are one tag of eleven parts, some of which are
values that were joined beforehand, and whoever asks a proxy for `/stats/prometheus` gets them apart again: a Lua filter
on that route alone rewrites each distinct value once.

    part      1         2        3             4         5       6        7          8      9       10      11
    is        reporter  source   destination   service   flags   policy   protocol   code   gRPC    source  destination
    made of             7 values 7 values      3 values                                     status  principals

Parts are divided by `|`, values inside a part by `;`. Neither can stand in a label's value, a host name or a SPIFFE
identity. The last part takes all that is left: a foreign server's certificate may say anything.
"""

from __future__ import annotations

from functools import cache

from envoy.config.core.v3 import base_pb2

from kaiki.model.identity import UNKNOWN
from kaiki.translate.features.metric_labels import (
    METADATA_NAMESPACE,
    SERVICE_LABELS,
    WORKLOAD_FIELDS,
    Reporter,
    security_policy,
    service_of_route,
)

TAG = "kaiki_labels"
JOINED_KEY = "labels"
"""The key of the joined values in the metadata `istio` of endpoints and of clusters, and in the state `peer.labels`."""

JOINED_ENVIRONMENT = "KAIKI_LABELS"
"""The environment variable of a proxy's container with its own seven values."""

_OWN = f"%ENVIRONMENT({JOINED_ENVIRONMENT})%"


def name_service(metadata: base_pb2.Metadata, host: str, name: str, namespace: str) -> None:
    """Put a service's labels where metrics read them, each and joined."""
    fields = metadata.filter_metadata[METADATA_NAMESPACE].fields
    for key, value in zip(SERVICE_LABELS, (host, name, namespace), strict=True):
        fields[key].string_value = value
    fields[JOINED_KEY].string_value = f"{host};{name};{namespace}"


@cache
def compact_format(reporter: Reporter, protocol: str) -> str:
    """The format string of the tag; `protocol` is http or grpc."""
    plaintext = reporter is Reporter.DESTINATION_PLAINTEXT
    service = f"%CLUSTER_METADATA({METADATA_NAMESPACE}:{JOINED_KEY})%"
    if reporter is Reporter.SOURCE:
        sides = (_OWN, f"%UPSTREAM_METADATA({METADATA_NAMESPACE}:{JOINED_KEY})%")
        principals = ("%UPSTREAM_LOCAL_URI_SAN%", "%UPSTREAM_PEER_URI_SAN%")
        service = service_of_route(JOINED_KEY)
    else:
        sides = ("-" if plaintext else f"%FILTER_STATE(peer.{JOINED_KEY}:PLAIN)%", _OWN)
        principals = ("-", "-") if plaintext else ("%DOWNSTREAM_PEER_URI_SAN%", "%DOWNSTREAM_LOCAL_URI_SAN%")
    return "|".join(
        (
            "source" if reporter is Reporter.SOURCE else "destination",
            *sides,
            service,
            "%RESPONSE_FLAGS%",
            security_policy(reporter),
            protocol,
            "%RESPONSE_CODE%",
            "%GRPC_STATUS_NUMBER%" if protocol == "grpc" else "",
            *principals,
        )
    )


@cache
def expansion_script() -> str:
    """Lua for Envoy's filter: every `kaiki_labels="…"` of an answer in the Prometheus text format becomes its labels.

    An answer is rewritten as it passes, line by line: a gateway with a thousand routes answers many megabytes.
    """
    names = [f'"{name}"' for name in _names()]
    return _SCRIPT.replace("NAMES", ",".join(names)).replace("UNKNOWN", UNKNOWN).replace("TAG", TAG)


def _names() -> list[str]:
    """The labels in the order of their values; `*7` and `*3` in the script count on it."""
    return [
        "reporter",
        *(f"source_{field}" for field in WORKLOAD_FIELDS),
        *(f"destination_{field}" for field in WORKLOAD_FIELDS),
        *SERVICE_LABELS,
        "response_flags",
        "connection_security_policy",
        "request_protocol",
        "response_code",
        "grpc_response_status",
        "source_principal",
        "destination_principal",
    ]


_SCRIPT = """
local names, sizes, known, count = {NAMES}, {1,7,7,3,1,1,1,1,1,1,1}, {}, 0
local function expand(value)
  local text = known[value]
  if text then return text end
  local labels, name, rest = {}, 0, value
  for part = 1, 11 do
    local here = rest
    local bar = part < 11 and rest:find("|", 1, true)
    if bar then here, rest = rest:sub(1, bar - 1), rest:sub(bar + 1) end
    local values = {}
    if sizes[part] == 1 then values[1] = here else for one in here:gmatch("[^;]+") do values[#values + 1] = one end end
    for number = 1, sizes[part] do
      local one = values[number]
      name = name + 1
      if part < 5 or part > 9 then if not one or one == "-" or one == "" then one = "UNKNOWN" end end
      if one ~= "" then labels[#labels + 1] = names[name] .. '="' .. one .. '"' end
    end
  end
  if count >= 4096 then known, count = {}, 0 end
  text = table.concat(labels, ",")
  known[value], count = text, count + 1
  return text
end
function envoy_on_response(handle)
  handle:headers():remove("content-length")
  local open = ""
  for chunk in handle:bodyChunks() do
    local text = open .. chunk:getBytes(0, chunk:length())
    local whole, part = text:match("^(.*\\n)(.-)$")
    if not whole then whole, part = "", text end
    open = part
    chunk:setBytes((whole:gsub('TAG="([^"]*)"', expand)))
  end
end
"""
