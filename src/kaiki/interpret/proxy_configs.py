"""ProxyConfigs → how a pod's proxy is to run. The nearest wins (Istio's order):

ProxyConfig with a selector ▸ annotation proxy.istio.io/config ▸ the namespace's ▸ the mesh's ▸ defaultConfig
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kaiki.model.finding import ObjectRef
from kaiki.model.proxy_settings import NO_SETTINGS, ProxyConfigRule, ProxySettings, chosen_rules
from kaiki.model.snapshot import MeshSnapshot
from kaiki.resources.istio import proxy_config as api
from kaiki.resources.istio.common import optional_seconds

ANNOTATION = "proxy.istio.io/config"


def proxy_config(source: ObjectRef, spec: api.ProxyConfigSpec, created: str, generation: int = 0) -> ProxyConfigRule:
    """Translate one spec."""
    settings = ProxySettings(
        concurrency=spec.concurrency,
        environment=tuple(sorted(spec.environment_variables.items())),
        image_type=spec.image.image_type if spec.image else "",
    )
    selector = spec.selector.match_labels if spec.selector else {}
    return ProxyConfigRule(source, settings, tuple(sorted(selector.items())), created, generation)


def proxy_defaults(value: object) -> tuple[ProxySettings, str]:
    """The settings of a mapping such as `defaultConfig`, and what is wrong with it."""
    try:
        spec = msgspec.convert(value or {}, api.ProxyDefaults)
    except msgspec.ValidationError as error:
        return NO_SETTINGS, f"this is not what the field takes: {error}."
    settings = ProxySettings(
        concurrency=spec.concurrency,
        environment=tuple(sorted(spec.proxy_metadata.items())),
        image_type=spec.image.image_type if spec.image else "",
        drain_seconds=optional_seconds(spec.drain_duration),
        statistics=_statistics(spec.proxy_stats_matcher),
    )
    return settings, ""


def _statistics(matcher: api.StatsMatcher | None) -> tuple[tuple[str, str], ...]:
    if matcher is None:
        return ()
    kinds = {
        "prefix": matcher.inclusion_prefixes,
        "suffix": matcher.inclusion_suffixes,
        "regex": matcher.inclusion_regexps,
    }
    return tuple((kind, text) for kind, texts in kinds.items() for text in texts)


def annotated_settings(text: str) -> tuple[ProxySettings, str]:
    """The settings of the annotation's YAML, and what is wrong with it."""
    import yaml

    try:
        document: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return NO_SETTINGS, "this is not YAML."
    return proxy_defaults(document)


def settings_of(
    snapshot: MeshSnapshot, namespace: str, labels: Mapping[str, str], annotation: str = ""
) -> tuple[ProxySettings, str]:
    """How the proxy of a pod runs, and what is wrong with its annotation."""
    rules = tuple(chosen_rules(snapshot.proxy_configs, namespace, labels))
    written, problem = annotated_settings(annotation) if annotation else (NO_SETTINGS, "")
    nearest = next((rule.settings for rule in rules if rule.selector), NO_SETTINGS)
    found = nearest.over(written)
    for rule in rules:
        found = found if rule.selector else found.over(rule.settings)
    return found.over(snapshot.settings.proxy), problem
