"""Filters of HTTPRoute and GRPCRoute rules, and of their backends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kaiki.interpret.gateway_api.backends import Backends, Origin, resolve
from kaiki.interpret.gateway_api.objects import Problem
from kaiki.model.route import (
    NO_HEADER_CHANGES,
    Cors,
    HeaderChanges,
    MatchKind,
    Mirror,
    Redirect,
    Rewrite,
    TextMatch,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
Api = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a rule stands: the port and scheme of its listener; port 0 in the mesh, where clients say the port."""

    port: int = 0
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the filters of one rule come to. `problem` is about references, `unsupported` about the rule itself."""

    request_headers: HeaderChanges = NO_HEADER_CHANGES
    response_headers: HeaderChanges = NO_HEADER_CHANGES
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    problems: tuple[Problem, ...] = ()
    unsupported: Problem | None = None


def filters(items: Iterable[Api], origin: Origin, backends: Backends, entrance: Entrance) -> Filters:
    """Read the filters of a rule. One that is not understood must not be passed over: its requests get an error."""
    found = Filters()
    for item in items:
        match item.get("type"):
            case "RequestHeaderModifier":
                found = replace(found, request_headers=header_changes(item.get("requestHeaderModifier")))
            case "ResponseHeaderModifier":
                found = replace(found, response_headers=header_changes(item.get("responseHeaderModifier")))
            case "RequestRedirect":
                found = replace(found, redirect=_redirect(item.get("requestRedirect") or {}, entrance))
            case "URLRewrite":
                found = replace(found, rewrite=_rewrite(item.get("urlRewrite") or {}))
            case "RequestMirror":
                found = _with_mirror(found, item.get("requestMirror") or {}, origin, backends)
            case "CORS":
                found = replace(found, cors=_cors(item.get("cors") or {}))
            case other:
                found = replace(found, unsupported=Problem("UnsupportedValue", f"the filter {other} is not supported."))
    return found


def backend_filters(items: Iterable[Api]) -> tuple[HeaderChanges, HeaderChanges, Problem | None]:
    """Header changes of one backend; other filters are not in force there."""
    request, response, problem = NO_HEADER_CHANGES, NO_HEADER_CHANGES, None
    for item in items:
        if item.get("type") == "RequestHeaderModifier":
            request = header_changes(item.get("requestHeaderModifier"))
        elif item.get("type") == "ResponseHeaderModifier":
            response = header_changes(item.get("responseHeaderModifier"))
        else:
            message = f"the filter {item.get('type')} is not supported for a single backend; put it into the rule."
            problem = Problem("UnsupportedValue", message)
    return request, response, problem


def header_changes(said: Api | None) -> HeaderChanges:
    """Header names are one whatever their case; the first of a name counts."""
    said = said or {}
    return HeaderChanges(
        set=_pairs(said.get("set") or ()),
        add=_pairs(said.get("add") or ()),
        remove=tuple(str(name) for name in said.get("remove") or ()),
    )


def _pairs(items: Iterable[Api]) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for item in items:
        found.setdefault(str(item["name"]).lower(), (str(item["name"]), str(item.get("value") or "")))
    return tuple(found.values())


def _redirect(said: Api, entrance: Entrance) -> Redirect:
    path = said.get("path") or {}
    scheme = str(said.get("scheme") or "")
    port = int(said.get("port") or 0)
    if not port and not scheme:
        port = entrance.port
    elif not port:
        port = _DEFAULT_PORTS.get(scheme, 0)
    if port == _DEFAULT_PORTS.get(scheme or entrance.scheme):
        # A well-known port is not written into the answer.
        port = 0
    prefix = path.get("type") == "ReplacePrefixMatch"
    return Redirect(
        path="" if prefix else str(path.get("replaceFullPath") or ""),
        path_prefix=_prefix(str(path.get("replacePrefixMatch") or "")) if prefix else "",
        authority=str(said.get("hostname") or ""),
        scheme=scheme,
        port=port,
        code=int(said.get("statusCode") or 302),
    )


def _prefix(text: str) -> str:
    return text.rstrip("/") or "/"


def _rewrite(said: Api) -> Rewrite:
    path, authority = said.get("path") or {}, str(said.get("hostname") or "")
    if path.get("type") == "ReplaceFullPath":
        whole = str(path.get("replaceFullPath") or "/")
        return Rewrite(authority=authority, path_pattern="^.*$", path_substitution=whole.replace("\\", "\\\\"))
    if path.get("type") == "ReplacePrefixMatch":
        return Rewrite(authority=authority, path=_prefix(str(path.get("replacePrefixMatch") or "")))
    return Rewrite(authority=authority)


def _with_mirror(found: Filters, said: Api, origin: Origin, backends: Backends) -> Filters:
    target = resolve(said.get("backendRef") or {}, origin, backends)
    if isinstance(target, Problem):
        return replace(found, problems=(*found.problems, target))
    percent, fraction = said.get("percent"), said.get("fraction")
    share = 100.0 if percent is None else float(percent)
    if fraction:
        share = 100.0 * float(fraction.get("numerator") or 0) / float(fraction.get("denominator") or 100)
    if share <= 0:
        return found
    return replace(found, mirrors=(*found.mirrors, Mirror(target, share)))


def _cors(said: Api) -> Cors:
    return Cors(
        allow_origins=tuple(_origin(str(item)) for item in said.get("allowOrigins") or ()),
        allow_methods=tuple(map(str, said.get("allowMethods") or ())),
        allow_headers=tuple(map(str, said.get("allowHeaders") or ())),
        expose_headers=tuple(map(str, said.get("exposeHeaders") or ())),
        max_age_seconds=int(said.get("maxAge") or 5),
        allow_credentials=True if said.get("allowCredentials") else None,
    )


def _origin(text: str) -> TextMatch:
    if text == "*":
        return TextMatch(MatchKind.REGEX, ".*")
    if "*" in text:
        return TextMatch(MatchKind.REGEX, re.escape(text).replace(r"\*", ".*"))
    return TextMatch(MatchKind.EXACT, text)
