"""What is set for the mesh as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from kaiki.model.defaults import NO_DEFAULTS, ObjectDefaults
from kaiki.model.policy.destination import LocalityBalancing
from kaiki.model.policy.telemetry import NO_TELEMETRY, TelemetrySettings
from kaiki.model.proxy_settings import NO_SETTINGS, ProxySettings


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """`registry_only`: sidecars let nothing out to hosts that are not in the registry.

    `locality`: how localities share where a DestinationRule does not say it.
    `defaults` are for objects that do not say it themselves, `proxy` is how proxies run unless somebody says otherwise.
    `telemetry`: the providers of metrics, traces and access logs, and which of them are the default.
    """

    registry_only: bool = False
    telemetry: TelemetrySettings = NO_TELEMETRY
    locality: LocalityBalancing | None = None
    defaults: ObjectDefaults = NO_DEFAULTS
    proxy: ProxySettings = NO_SETTINGS


DEFAULT_SETTINGS = MeshSettings()
