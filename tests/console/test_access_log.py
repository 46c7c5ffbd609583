"""Access logs read back, and the objects behind failures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from kaiki.console.access_log import Formats, LogEntry, Search, read_line, read_lines
from kaiki.console.response_flags import REASONS, explain_flags
from kaiki.console.responsible import Place, Responsible, find_responsible
from kaiki.model.policy.telemetry import LogKind, LogProvider
from kaiki.translate.features.access_log import access_log

VALUES = {
    "START_TIME": "2026-11-23T05:00:00.250Z",
    "REQ(:METHOD)": "GET",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "/a b?c=d",
    "PROTOCOL": "HTTP/1.1",
    "RESPONSE_CODE": "503",
    "RESPONSE_FLAGS": "UF,URX",
    "RESPONSE_CODE_DETAILS": "upstream_reset_before_response_started{remote_connection_failure}",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": "delayed connect error: Connection refused",
    "BYTES_RECEIVED": "1",
    "BYTES_SENT": "152",
    "DURATION": "7",
    "REQ(USER-AGENT)": 'a "quoted" agent [x]',
    "REQ(X-REQUEST-ID)": "id-1",
    "REQ(:AUTHORITY)": "reviews:9080",
    "UPSTREAM_HOST": "10.97.0.9:9080",
    "UPSTREAM_CLUSTER_RAW": "outbound|9080||reviews.default.svc.cluster.local",
    "DOWNSTREAM_LOCAL_ADDRESS": "10.96.0.7:9080",
    "DOWNSTREAM_REMOTE_ADDRESS": "10.97.0.4:4711",
    "ROUTE_NAME": "default",
}


def written(**provider: Any) -> Any:
    """The format translation makes for a provider."""
    log = access_log(LogProvider(name="x", kind=LogKind.FILE, path="/dev/stdout", **provider), "", "", True)
    assert log is not None
    from envoy.extensions.access_loggers.file.v3 import file_pb2

    config = file_pb2.FileAccessLog()
    log.typed_config.Unpack(config)
    return config.log_format


def filled(text: str) -> str:
    return re.sub(r"%([^%]+)%", lambda match: VALUES.get(match[1], "-"), text)


def test_the_formats_translation_writes_are_read() -> None:
    line = filled(written().text_format_source.inline_string).rstrip("\n")
    entry = read_line(line)
    assert entry is not None
    assert (entry.method, entry.path, entry.protocol) == ("GET", "/a b?c=d", "HTTP/1.1")
    assert (entry.response_code, entry.response_flags, entry.duration) == (503, "UF,URX", 7)
    assert entry.upstream_transport_failure_reason == "delayed connect error: Connection refused"
    assert entry.user_agent == 'a "quoted" agent [x]'
    assert (entry.authority, entry.upstream_cluster) == (VALUES["REQ(:AUTHORITY)"], VALUES["UPSTREAM_CLUSTER_RAW"])
    assert (entry.route_name, entry.requested_server_name, entry.time % 60) == ("default", "", 0.25)
    fields = {name: VALUES.get(str(value)[1:-1]) for name, value in written(json=True).json_format.items()}
    assert read_line(json.dumps(fields)) == entry


def test_formats_of_the_mesh_config_are_read() -> None:
    text = "%START_TIME% [%REQ(:METHOD)%] %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% -> %RESPONSE_CODE% (%RESPONSE_FLAGS%) "
    text += "%REQ(X-TEAM):20% %DURATION%ms"
    labels = {
        "at": "%START_TIME%",
        "status": "%RESPONSE_CODE%",
        "who": "%REQ(X-TEAM)%",
        "url": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    }
    formats = Formats([text, "%REQ(:PATH)% without a time"], [labels, {"code": "%RESPONSE_CODE%"}])
    assert (len(formats.patterns), len(formats.labels)) == (1, 1)
    entry = read_line(filled(text), formats)
    assert entry is not None and read_line(filled(text)) is None
    assert (entry.method, entry.path, entry.response_code, entry.duration) == ("GET", "/a b?c=d", 503, 7)
    line = json.dumps({name: VALUES.get(str(value)[1:-1], "-") for name, value in labels.items()})
    entry = read_line(line, formats)
    assert entry is not None and (entry.path, entry.response_code) == ("/a b?c=d", 503)
    assert read_line('{"level": "info"}', formats) is None


def test_other_lines_are_no_entries() -> None:
    lines = [
        "[2026-11-23 05:00:00.250][12][info][main] starting",
        '{"level": "info", "start_time": "never", "response_code": 1}',
        "{" * 5000,
        "[" + '"' * 20_000,
        '[2026-11-23T05:00:00Z] "' + '" "' * 3000,
        "",
    ]
    assert read_lines(lines) == []


ENTRY = LogEntry(time=100.0, method="GET", path="/Books", response_code=503, response_flags="UF,URX", authority="shop")


@pytest.mark.parametrize(
    ("search", "accepted"),
    [
        (Search(), True),
        (Search(codes=frozenset({"5xx"})), True),
        (Search(codes=frozenset({"404", "500"})), False),
        (Search(flags=frozenset({"URX"})), True),
        (Search(flags=frozenset({"-"})), False),
        (Search(path="shop/books"), True),
        (Search(path="/films"), False),
        (Search(method="get"), True),
        (Search(start=101), False),
        (Search(end=99), False),
    ],
)
def test_search(search: Search, accepted: bool) -> None:
    assert search.accepts(ENTRY) is accepted


def test_every_flag_has_its_reason_in_both_languages() -> None:
    for english, korean in REASONS.values():
        assert english.endswith(".") and korean.endswith(".") and not korean.isascii()
    texts = explain_flags("UF,URX", "")
    assert [one["flag"] for one in texts] == ["UF", "URX"]
    assert "policy" in explain_flags("-", "rbac_access_denied_matched_policy[none]")[0]["text"]
    assert explain_flags("-", "via_upstream") == []


def obj(kind: str, name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


OBJECTS = [
    obj(
        "VirtualService",
        "reviews",
        hosts=["reviews"],
        http=[
            {"match": [{"uri": {"prefix": "/slow"}}], "timeout": "1s", "retries": {"attempts": 2}},
            {"name": "broken", "match": [{"uri": {"exact": "/broken"}}], "fault": {"abort": {"httpStatus": 418}}},
            {"match": [{"uri": {"regex": "/gone/[0-9]+"}}], "route": [{"destination": {"subset": "none"}}]},
            {"match": [{"uri": {"prefix": "/direct"}}], "directResponse": {"status": 404}},
        ],
    ),
    obj("VirtualService", "anything", hosts=["*.default.svc.cluster.local"], http=[{"timeout": "9s"}]),
    obj("VirtualService", "shop", hosts=["shop.test"], gateways=["shop"], http=[{"match": [{"uri": {"exact": "/a"}}]}]),
    obj("Gateway", "shop", selector={"istio": "ingressgateway"}, servers=[{"hosts": ["shop.test", "*.empty.test"]}]),
    obj("DestinationRule", "reviews", host="reviews", subsets=[{"name": "v1"}, {"name": "v2"}]),
    obj("Service", "reviews"),
    obj("AuthorizationPolicy", "all", "istio-system", action="ALLOW"),
    obj("AuthorizationPolicy", "others", selector={"matchLabels": {"app": "other"}}),
    obj("RequestAuthentication", "tokens", selector={"matchLabels": {"app": "page"}}),
]
PAGE = Place("default", {"app": "page"}, address="10.97.0.4")
GATEWAY = Place("istio-system", {"istio": "ingressgateway"}, gateway=True)
FAULT = "VirtualService default/reviews spec.http[1].fault fault"
TIMEOUT = "VirtualService default/reviews spec.http[0].timeout timeout"
CLUSTER = "outbound|9080|v2|reviews.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("place", "fields", "expected"),
    [
        (PAGE, {"response_flags": "NR", "path": "/x"}, ["VirtualService default/reviews  noRule"]),
        (PAGE, {"response_flags": "NR", "authority": "details:9080"}, ["VirtualService default/anything  noRule"]),
        (PAGE, {"response_flags": "NR", "authority": "elsewhere.test"}, []),
        (GATEWAY, {"response_flags": "NR", "authority": "shop.test"}, ["VirtualService default/shop  noRule"]),
        (GATEWAY, {"response_flags": "NR", "authority": "a.empty.test"}, ["Gateway default/shop  noRoutes"]),
        (GATEWAY, {"response_flags": "NR", "authority": "other.test"}, ["Gateway default/shop  noHost"]),
        (PAGE, {"response_flags": "FI", "path": "/broken"}, [FAULT]),
        (PAGE, {"response_flags": "FI", "route_name": "broken"}, [FAULT]),
        (PAGE, {"response_flags": "UT", "path": "/slow/x"}, [TIMEOUT]),
        (PAGE, {"response_flags": "UT", "path": "/other"}, []),
        (
            PAGE,
            {"response_flags": "UH", "path": "/gone/7", "upstream_cluster": "BlackHoleCluster"},
            ["VirtualService default/reviews spec.http[2].route subset"],
        ),
        (
            PAGE,
            {"path": "/direct", "response_code_details": "direct_response"},
            ["VirtualService default/reviews spec.http[3].directResponse answer"],
        ),
        (
            PAGE,
            {"response_flags": "UH", "upstream_cluster": CLUSTER},
            ["DestinationRule default/reviews spec.subsets[1] selects", "Service default/reviews  endpoints"],
        ),
        (
            PAGE,
            {"response_flags": "UO", "upstream_cluster": CLUSTER},
            ["DestinationRule default/reviews spec.trafficPolicy limits"],
        ),
        (PAGE, {"response_flags": "UF", "upstream_cluster": "inbound|9080||"}, []),
        (PAGE, {"response_flags": "NR", "downstream_local_address": "10.97.0.4:9080"}, []),
        (
            PAGE,
            {"response_code_details": "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[2]]"},
            ["AuthorizationPolicy a/b spec.rules[2] denied"],
        ),
        (
            PAGE,
            {"response_code_details": "rbac_access_denied_matched_policy[none]"},
            ["AuthorizationPolicy istio-system/all  notAllowed"],
        ),
        (
            PAGE,
            {"response_code_details": "jwt_authn_access_denied{Jwt_is_missing}"},
            ["RequestAuthentication default/tokens  token"],
        ),
    ],
)  # fmt: skip
def test_the_object_behind_a_failure(place: Place, fields: dict[str, Any], expected: list[str]) -> None:
    entry = replace(LogEntry(time=1.0, method="GET", path="/", authority="reviews:9080"), **fields)
    found = find_responsible(entry, place, OBJECTS)
    assert [describe(one) for one in found] == expected
    assert all(one.as_json(language)["text"] for one in found for language in ("en", "ko"))


def describe(one: Responsible) -> str:
    return f"{one.kind} {one.namespace}/{one.name} {one.field} {one.cause}"
