"""Which parts a profile has, in the order in which they are applied."""

from __future__ import annotations

from dataclasses import replace

from kaiki.manifests.base import base_manifests
from kaiki.manifests.gateway import egress_manifests, gateway_manifests
from kaiki.manifests.istiod import istiod_manifests
from kaiki.manifests.objects import Object
from kaiki.manifests.observability import console_manifests, metrics_manifests
from kaiki.manifests.settings import InstallSettings, Platform, Profile


def install_manifests(settings: InstallSettings) -> list[Object]:
    """Everything `kaiki install` applies, each object after what it refers to.

    The console's token is part of every profile, so that the add-ons can be applied to a minimal installation later.
    """
    objects = base_manifests(settings)
    if settings.profile is Profile.EMPTY:
        return objects
    objects += istiod_manifests(settings)
    if settings.profile is Profile.MINIMAL:
        return [*objects, *egress_manifests(settings)]
    return [
        *objects,
        *gateway_manifests(settings),
        *egress_manifests(settings),
        *metrics_manifests(settings),
        *console_manifests(settings),
    ]


def addon_manifests(settings: InstallSettings) -> dict[str, list[Object]]:
    """The metrics store and the console as files to apply by hand, by file name.

    They hold only what is equal on every platform, so that applied over a running installation they change nothing of
    it. On a cluster with the minimal profile they are enough; the store then lives as long as its container.
    """
    portable = replace(settings, platform=Platform.LOCAL)
    return {
        "prometheus.yaml": metrics_manifests(portable, with_volume=False),
        "kiali.yaml": console_manifests(portable),
    }
