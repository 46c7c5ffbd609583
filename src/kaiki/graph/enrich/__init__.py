"""Decorations: each file looks at the finished graph and the registry, and adds badges to nodes. Order does not matter.

Badges are words the UI knows: `virtualService`, `trafficSplit`, `faultInjection`, `mirroring`, `timeout`, `retries`,
`circuitBreaker`, `missingSidecar`, `plaintext`, `dead`, `external`.
"""

from __future__ import annotations

from kaiki.graph.enrich.badges import Decoration
from kaiki.graph.enrich.dead import mark_dead
from kaiki.graph.enrich.external import mark_external
from kaiki.graph.enrich.mtls import mark_plaintext
from kaiki.graph.enrich.routing import mark_routing
from kaiki.graph.enrich.sidecar import mark_missing_sidecar

DECORATIONS: tuple[Decoration, ...] = (
    mark_dead,
    mark_external,
    mark_missing_sidecar,
    mark_plaintext,
    mark_routing,
)
