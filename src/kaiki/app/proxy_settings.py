"""Joins injection and the objects that say how the proxy of one pod is to run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kaiki.app.bootstrap_patches import patched_injection
from kaiki.inject.settings import InjectionSettings
from kaiki.interpret.proxy_configs import ANNOTATION, settings_of
from kaiki.model.proxy_settings import chosen_rules
from kaiki.model.snapshot import MeshSnapshot

logger = logging.getLogger(__name__)


def injection_of(pod: Mapping[str, Any], snapshot: MeshSnapshot, settings: InjectionSettings) -> InjectionSettings:
    """The installation's settings with what ProxyConfigs, the pod's annotation, the mesh config and EnvoyFilters
    say of its proxy."""
    metadata = pod.get("metadata") or {}
    namespace, annotations = str(metadata.get("namespace") or ""), metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    wish, problem = settings_of(snapshot, namespace, labels, annotations.get(ANNOTATION, ""))
    if problem:
        name = metadata.get("name") or metadata.get("generateName")
        logger.warning("Pod %s/%s: annotation %s: %s It is not in force.", namespace, name, ANNOTATION, problem)
    found = replace(
        settings,
        concurrency=settings.concurrency if wish.concurrency is None else wish.concurrency,
        environment=(*settings.environment, *wish.environment),
        proxy_image=with_image_type(settings.proxy_image, wish.image_type),
        statistics=wish.statistics,
        redirection=wish.redirection,
        started_with=tuple(rule.edition for rule in chosen_rules(snapshot.proxy_configs, namespace, labels)),
        drain_seconds=settings.drain_seconds if wish.drain_seconds is None else max(1, round(wish.drain_seconds)),
    )
    return patched_injection(pod, snapshot, found)


def with_image_type(image: str, image_type: str) -> str:
    """Envoy's images have their type before the version: `envoy:distroless-v1.40.0`."""
    if image_type in ("", "default"):
        return image
    name, _, tag = image.rpartition(":")
    return f"{name}:{image_type}-{tag}"
