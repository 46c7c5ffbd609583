"""Whether a pod gets a sidecar: the rules of Istio's default injector, each refusal with its reason.

The webhook configuration's selectors already keep most pods away; the rules are repeated here because `kaiki inject`
and a hand-made AdmissionReview come without selectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaiki.inject.settings import InjectionSettings

PROXY_CONTAINER = "istio-proxy"
INJECT_KEY = "sidecar.istio.io/inject"
STATUS_KEY = "sidecar.istio.io/status"
REVISION_KEY = "istio.io/rev"
APPLICATION_PORT_KEY = "kaiki.io/application-metrics-port"
"""Where the metrics store finds that there is an application behind the sidecar to be scraped too."""
NAMESPACE_KEY = "istio-injection"

_YES = frozenset({"y", "yes", "true", "on", "1"})


def injection_refusal(
    pod: Mapping[str, Any], namespace_labels: Mapping[str, str], settings: InjectionSettings
) -> str | None:
    """Say why the pod is left as it is, or None when it is to be injected.

    Order (Istio, "Controlling the injection policy"): host network and injected pods never; the namespace label
    `istio-injection` decides before `istio.io/rev`; the pod's own `sidecar.istio.io/inject`, label before annotation,
    wins over an enabled namespace, and over one that says nothing; an explicitly disabled namespace stays disabled.
    """
    metadata = pod.get("metadata") or {}
    spec = pod.get("spec") or {}
    if spec.get("hostNetwork"):
        return "the pod uses the host's network, where redirection would capture the whole node"
    if is_injected(pod):
        return "the pod has a sidecar already"
    if (metadata.get("namespace") or "") in settings.ignored_namespaces:
        return "system namespaces are never injected"
    labels = metadata.get("labels") or {}
    wish = labels.get(INJECT_KEY) or (metadata.get("annotations") or {}).get(INJECT_KEY)
    if wish and wish.lower() not in _YES:
        return f"the pod says {INJECT_KEY}: {wish}"
    return _namespace_refusal(bool(wish), labels, namespace_labels, settings.revision)


def _namespace_refusal(
    wished: bool, labels: Mapping[str, str], namespace_labels: Mapping[str, str], revision: str
) -> str | None:
    switch = namespace_labels.get(NAMESPACE_KEY)
    if switch is not None:
        return None if switch == "enabled" else f"the namespace says {NAMESPACE_KEY}: {switch}"
    if REVISION_KEY in namespace_labels:
        other = namespace_labels[REVISION_KEY]
        return None if other == revision else f"the namespace belongs to revision {other}, this is {revision}"
    if REVISION_KEY in labels:
        other = labels[REVISION_KEY]
        return None if other == revision else f"the pod belongs to revision {other}, this is {revision}"
    if wished:
        return None
    return f"neither the namespace ({NAMESPACE_KEY}=enabled) nor the pod ({INJECT_KEY}=true) asks for a sidecar"


def is_injected(pod: Mapping[str, Any]) -> bool:
    """Tell whether a sidecar is in the pod, by the status annotation or by the container's name in either list."""
    if STATUS_KEY in ((pod.get("metadata") or {}).get("annotations") or {}):
        return True
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return any(container.get("name") == PROXY_CONTAINER for container in containers)
