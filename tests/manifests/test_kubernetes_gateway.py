"""What is deployed for a Gateway carries the addresses it asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaiki.manifests.kubernetes_gateway import EXTERNAL_NAMES, RENDERED, kubernetes_gateway_manifests
from kaiki.manifests.settings import InstallSettings, Platform
from kaiki.model.deployment import GatewayDeployment

WANTED = GatewayDeployment("shop", "web", "web-istio", "uid", "istio", (("http-80", 80),))
SETTINGS = InstallSettings(version="1", platform=Platform.KUBERNETES, console_token="", gateway_arguments=())


def service(**asked: Any) -> dict[str, Any]:
    made = kubernetes_gateway_manifests(replace(WANTED, **asked), SETTINGS)
    return next(one for one in made if one["kind"] == "Service")


def test_a_load_balancer_is_asked_for_the_first_address() -> None:
    spec = service(addresses=("192.0.2.1", "192.0.2.2"))["spec"]
    assert (spec["type"], spec["loadBalancerIP"], spec["externalIPs"]) == ("LoadBalancer", "192.0.2.1", ["192.0.2.2"])
    assert "externalIPs" not in service(addresses=("192.0.2.1",))["spec"]


def test_other_services_take_all_of_them() -> None:
    spec = service(addresses=("192.0.2.1", "192.0.2.2"), service_type="ClusterIP")["spec"]
    assert (spec["externalIPs"], "loadBalancerIP" in spec) == (["192.0.2.1", "192.0.2.2"], False)


def test_names_are_for_whoever_keeps_the_zone() -> None:
    named = service(hostnames=("a.org", "b.org"), annotations=(("of", "the user"),))["metadata"]["annotations"]
    assert (named[EXTERNAL_NAMES], named["of"]) == ("a.org,b.org", "the user")
    plain = service()["metadata"]["annotations"]
    assert EXTERNAL_NAMES not in plain and plain[RENDERED] != named[RENDERED]
