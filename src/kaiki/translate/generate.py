"""The front door of translation: (snapshot, proxy) → everything that proxy should have."""

from __future__ import annotations

from kaiki.model.proxy import PUSH_ORDER, Proxy, ProxyConfig
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.memo import Memo


def generate(snapshot: MeshSnapshot, proxy: Proxy, memo: Memo) -> ProxyConfig:
    """Build what `proxy` should have under `snapshot`. Pure but for `memo`, which only saves work."""
    memo.enter(snapshot)
    return ProxyConfig(resources={type_url: {} for type_url in PUSH_ORDER})
