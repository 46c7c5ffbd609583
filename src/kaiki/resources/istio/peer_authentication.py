"""PeerAuthentication: which TLS a workload takes from other workloads (Istio, "PeerAuthentication" reference)."""

from __future__ import annotations

from typing import Literal

from kaiki.resources.istio.common import ApiType, WorkloadSelector

MutualTlsMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


class MutualTLS(ApiType, frozen=True):
    """UNSET: as the wider policy says."""

    mode: MutualTlsMode = "UNSET"


class PeerAuthenticationSpec(ApiType, frozen=True):
    """Which TLS workloads take from others: all, those of a namespace, or some and single ports of these."""

    selector: WorkloadSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[str, MutualTLS] = {}
