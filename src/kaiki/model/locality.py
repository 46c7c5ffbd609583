"""Where something runs: `region/zone/subzone`, as the labels of pods say it."""

from __future__ import annotations

from collections.abc import Mapping

REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
SUBZONE_LABEL = "topology.istio.io/subzone"
OVERRIDE_LABEL = "istio-locality"


def locality_of(labels: Mapping[str, str]) -> str:
    """`region/zone/subzone` without trailing empty parts; `istio-locality` (`region.zone.subzone`) wins."""
    written = labels.get(OVERRIDE_LABEL, "")
    if written:
        return written.replace(".", "/") if "/" not in written else written
    parts = [labels.get(label, "") for label in (REGION_LABEL, ZONE_LABEL, SUBZONE_LABEL)]
    return "/".join(parts).rstrip("/")


def parts_of(locality: str) -> tuple[str, str, str]:
    """Region, zone and subzone; empty where unknown."""
    region, zone, subzone, *_ = (*locality.split("/"), "", "", "")
    return region, zone, subzone


def fits(pattern: str, locality: str) -> bool:
    """Whether a locality is in a pattern such as `*`, `eu`, `eu/*` or `eu/north/*`."""
    wanted = pattern.split("/")
    for given, one in zip(parts_of(locality), (*wanted, *[""] * 3), strict=False):
        if one == "*":
            return True
        if one and one != given:
            return False
        if not one:
            return True
    return True
