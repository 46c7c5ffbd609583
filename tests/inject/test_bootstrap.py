"""Injection and the real bootstrap fit: real Envoy accepts what an injected pod would start it with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaiki.inject import BootstrapRequest, InjectionSettings, inject_pod
from kaiki.model.proxy import Capture
from kaiki.translate.bootstrap import AppProbe, BootstrapSettings, bootstrap
from kaiki.translate.features.compact_labels import JOINED_ENVIRONMENT
from kaiki.translate.features.telemetry import ENVIRONMENT_NAMES

CASES = Path(__file__).parent / "cases"
ENVOY = shutil.which("envoy", path=str(Path(sys.executable).parent))


def render(request: BootstrapRequest) -> Mapping[str, Any]:
    metrics = request.application_metrics
    return bootstrap(
        BootstrapSettings(
            kind=request.kind,
            capture=request.capture,
            probes=tuple(
                AppProbe(p.path, p.port, p.request_path, p.kind == "https", p.timeout_seconds) for p in request.probes
            ),
            metrics_port=metrics.port if metrics else 0,
            metrics_path=metrics.path if metrics else "/metrics",
        )
    )


def expand(text: str) -> str:
    """What Kubernetes makes of the argument; credentials are files that validation wants to see."""
    for name, value in {"POD_NAME": "a-1", "POD_NAMESPACE": "default", "POD_IP": "10.97.0.9"}.items():
        text = text.replace(f"$({name})", value)
    return text.replace("$$", "$")


@pytest.mark.skipif(ENVOY is None, reason="envoy is not beside this Python")
@pytest.mark.parametrize("capture", [Capture.MARK, Capture.UID])
def test_envoy_accepts_the_injected_arguments(capture: Capture, tmp_path: Path) -> None:
    pod = yaml.safe_load((CASES / "probes" / "in.yaml").read_text())["pod"]
    settings = InjectionSettings(version="1.2.3", render_bootstrap=render, capture=capture)
    injected = inject_pod(pod, {"istio-injection": "enabled"}, settings)
    assert injected is not None
    arguments = [expand(text) for text in injected["spec"]["initContainers"][1]["args"]]
    for mounted in ("/var/run/secrets/tokens/istio-token", "/var/run/secrets/istio/root-cert.pem"):
        here = tmp_path / Path(mounted).name
        here.write_text("none")
        arguments[1] = arguments[1].replace(mounted, str(here))
    command = [str(ENVOY), *arguments, "--mode", "validate"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "/ready?full=$yes" in arguments[1]


def test_the_metrics_environment_is_complete() -> None:
    """Envoy writes `-` for a variable that is missing: no label may come from one."""
    pod = yaml.safe_load((CASES / "deployment-pod" / "in.yaml").read_text())["pod"]
    settings = InjectionSettings(version="1.2.3", render_bootstrap=render)
    injected = inject_pod(pod, {"istio-injection": "enabled"}, settings)
    assert injected is not None
    environment = {one["name"]: one for one in injected["spec"]["initContainers"][1]["env"]}
    assert {JOINED_ENVIRONMENT, *ENVIRONMENT_NAMES.values()} <= set(environment)
    assert environment["KAIKI_WORKLOAD"]["value"] == "reviews-v1"
