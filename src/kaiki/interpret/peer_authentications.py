"""PeerAuthentication objects → policies, and what of them can be judged without the mesh."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.policy.peer import MutualTlsMode, PeerPolicy
from kaiki.resources.istio import peer_authentication as api

_HIGHEST_PORT = 65535


def peer_policy(source: ObjectRef, spec: api.PeerAuthenticationSpec, created: str) -> PeerPolicy:
    """Translate one spec; what `peer_findings` calls an error is left out."""
    selector = tuple(sorted(spec.selector.match_labels.items())) if spec.selector else ()
    usable = {text: one for text, one in spec.port_level_mtls.items() if _is_port(text)} if selector else {}
    return PeerPolicy(
        source=source,
        created=created,
        selector=selector,
        mode=_mode(spec.mtls),
        ports=tuple(sorted((int(text), _mode(one)) for text, one in usable.items())),
    )


def _mode(one: api.MutualTLS | None) -> MutualTlsMode | None:
    return None if one is None or one.mode == "UNSET" else MutualTlsMode(one.mode)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _HIGHEST_PORT


def peer_findings(source: ObjectRef, spec: api.PeerAuthenticationSpec) -> Iterator[Finding]:
    """What is wrong with a PeerAuthentication, whatever the mesh is like."""
    if spec.port_level_mtls and not (spec.selector and spec.selector.match_labels):
        message = "modes of single ports need a selector: ports are those of a workload."
        hint = "Add selector.matchLabels."
        yield Finding("KAI2401", Severity.ERROR, source, "spec.portLevelMtls", message, hint)
    for text in spec.port_level_mtls:
        if not _is_port(text):
            path, message = f"spec.portLevelMtls[{text}]", f"{text!r} is not the number of a port."
            yield Finding("KAI2402", Severity.ERROR, source, path, message, "Write a number from 1 to 65535.")
