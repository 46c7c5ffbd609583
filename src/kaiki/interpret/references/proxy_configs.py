"""ProxyConfigs against the mesh (KAI23xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.finding import Finding, Severity
from kaiki.model.proxy_settings import ProxyConfigRule
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE

IMAGE_TYPES = ("", "default", "distroless", "debug")


def proxy_config_findings(snapshot: MeshSnapshot, item: ProxyConfigRule) -> Iterator[Finding]:
    """Everything there is to say about one ProxyConfig."""
    if item.settings.image_type not in IMAGE_TYPES:
        message = f"{item.settings.image_type!r} is not a type of the proxy's image."
        hint = "Known are default, distroless and debug."
        yield Finding("KAI2303", Severity.WARNING, item.source, "spec.image.imageType", message, hint)
    if item.selector and item.source.namespace == ROOT_NAMESPACE:
        message = f"a selector picks pods of namespace {ROOT_NAMESPACE} only."
        hint = "Leave it out to mean the whole mesh."
        yield Finding("KAI2302", Severity.WARNING, item.source, "spec.selector", message, hint)
    for other in snapshot.proxy_configs:
        if other.source == item.source:
            return
        if other.source.namespace == item.source.namespace and other.selector == item.selector:
            message = f"{other.source} is older and for the same pods: that one is in force, this one is not."
            yield Finding("KAI2301", Severity.WARNING, item.source, "spec.selector", message, "Keep one of them.")
            return
