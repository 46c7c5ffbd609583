"""Puts the sidecar into a pod: a pure function from (pod, namespace labels, settings) to the patched pod.

    pod ── policy: is it wanted? ──▶ probes rewritten ──▶ istio-init, istio-proxy, volumes ──▶ labels, annotations

The admission webhook, `kaiki inject -f` and the tests all call the same function, so what a cluster does and what a
laptop does can't drift apart. The proxy's bootstrap is not made here: `InjectionSettings.render_bootstrap` makes it,
because injection and translation are siblings that must not know each other.
"""

from kaiki.inject.pod import inject_pod
from kaiki.inject.policy import injection_refusal
from kaiki.inject.settings import ApplicationMetrics, BootstrapRequest, InjectionSettings, ProbeTarget

__all__ = [
    "ApplicationMetrics",
    "BootstrapRequest",
    "InjectionSettings",
    "ProbeTarget",
    "inject_pod",
    "injection_refusal",
]
