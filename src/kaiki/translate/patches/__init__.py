"""EnvoyFilters, put into force on what is generated: the last thing that happens to a proxy's configuration.

    patched(resources, proxy, filters, memo) → the resources, and what became of each patch
    with_patches(bootstrap, filters, proxy)  → what a proxy starts with

Order: the root namespace's filters before those of the proxy's own, lower priorities first, older ones first. A patch
that cannot be read changes nothing and says why; the rest goes on. What a patch makes of a resource is kept as long as
neither changes.
"""

from kaiki.translate.patches.apply import Patched, chosen_filters, is_for_kind, patched
from kaiki.translate.patches.bootstrap import (
    apply_patches,
    bootstrap_editions,
    bootstrap_filters,
    bootstrap_results,
    with_patches,
)

__all__ = [
    "Patched",
    "apply_patches",
    "bootstrap_editions",
    "bootstrap_filters",
    "bootstrap_results",
    "chosen_filters",
    "is_for_kind",
    "patched",
    "with_patches",
]
