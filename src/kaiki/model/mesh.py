"""What is set for the mesh as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from kaiki.model.policy.destination import LocalityBalancing
from kaiki.model.policy.telemetry import NO_TELEMETRY, TelemetrySettings


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """`registry_only`: sidecars let nothing out to hosts that are not in the registry.

    `locality`: how localities share where a DestinationRule does not say it.
    `telemetry`: the providers of metrics, traces and access logs, and which of them are the default.
    """

    registry_only: bool = False
    telemetry: TelemetrySettings = NO_TELEMETRY
    locality: LocalityBalancing | None = None


DEFAULT_SETTINGS = MeshSettings()
