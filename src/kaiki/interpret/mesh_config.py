"""The ConfigMap that configures the mesh as a whole (`mesh` in `istio-system/istio`, Istio's MeshConfig as YAML)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from kaiki.interpret.destination_rules import locality_balancing
from kaiki.interpret.object_defaults import object_defaults
from kaiki.interpret.proxy_configs import proxy_defaults
from kaiki.interpret.telemetry_providers import telemetry_settings
from kaiki.model.finding import Finding, Severity
from kaiki.model.mesh import MeshSettings
from kaiki.model.policy.destination import LocalityBalancing
from kaiki.model.proxy_settings import REDIRECTION
from kaiki.resources import core
from kaiki.resources.istio.destination_rule import LocalityLoadBalancerSetting

MESH_CONFIG = ("ConfigMap", "istio-system", "istio")
"""Its kind, namespace and name."""
_KEY = "mesh"
_VALUES = "values"
"""The installation's values (`kaiki install --set values.…`), as JSON."""
_MODES = ("ALLOW_ANY", "REGISTRY_ONLY")


def mesh_settings(obj: core.Object) -> tuple[MeshSettings, tuple[Finding, ...]]:
    """What the ConfigMap says; what cannot be read is found, and the default holds."""
    text = str((obj.get("data") or {}).get(_KEY) or "")
    document = _read(text)
    if document is None:
        return MeshSettings(), (_finding(obj, f"data.{_KEY}", "this is not a YAML mapping."),)
    telemetry, problems = telemetry_settings(document)
    found = tuple(_finding(obj, f"data.{_KEY}.{path}", message) for path, message in problems)
    locality, problem = _locality(document.get("localityLbSetting"))
    found += (_finding(obj, f"data.{_KEY}.localityLbSetting", problem),) if problem else ()
    defaults, problems = object_defaults(document)
    proxy, problem = proxy_defaults(document.get("defaultConfig"))
    problems += (("defaultConfig", problem),) if problem else ()
    found += tuple(_finding(obj, f"data.{_KEY}.{path}", message) for path, message in problems)
    redirection, problem = _redirection(str((obj.get("data") or {}).get(_VALUES) or ""))
    found += (_finding(obj, f"data.{_VALUES}", problem),) if problem else ()
    proxy = replace(proxy, redirection=redirection)
    rest = MeshSettings(telemetry=telemetry, locality=locality, defaults=defaults, proxy=proxy)
    policy = document.get("outboundTrafficPolicy") or {}
    mode = policy.get("mode", _MODES[0]) if isinstance(policy, dict) else None
    if mode not in _MODES:
        path, message = f"data.{_KEY}.outboundTrafficPolicy.mode", f"the mode must be one of {', '.join(_MODES)}."
        return rest, (*found, _finding(obj, path, message))
    return replace(rest, registry_only=mode == "REGISTRY_ONLY"), found


def _redirection(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """What all pods' traffic is redirected by, as annotations, and what is wrong with it."""
    values: Any = _read(text)
    for name in ("global", "proxy"):
        values = values.get(name, {}) if isinstance(values, dict) else None
    if not isinstance(values, dict):
        return (), "global.proxy is not a mapping."
    unknown = sorted(str(name) for name in values if name not in REDIRECTION)
    problem = f"global.proxy.{unknown[0]} is unknown; there are {', '.join(REDIRECTION)}." if unknown else ""
    given = {name: str(value) for name, value in values.items() if name in REDIRECTION}
    # A star is the default of what is included: all of it.
    return tuple((REDIRECTION[name], value) for name, value in sorted(given.items()) if value not in ("", "*")), problem


def _locality(value: object) -> tuple[LocalityBalancing | None, str]:
    try:
        return locality_balancing(msgspec.convert(value, LocalityLoadBalancerSetting | None)), ""
    except msgspec.ValidationError as error:
        return None, f"this is not what the field takes: {error}."


def _read(text: str) -> dict[str, Any] | None:
    import yaml

    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except (yaml.YAMLError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _finding(obj: core.Object, path: str, message: str) -> Finding:
    return Finding("KAI0601", Severity.ERROR, core.reference(obj), path, message, "The default stays in force.")
