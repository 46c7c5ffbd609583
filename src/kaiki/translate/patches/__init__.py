"""EnvoyFilters, put into force on what is generated: the last thing that happens to a proxy's configuration.

    patched(resources, proxy, filters, memo) → the resources, and what became of each patch

Order: the root namespace's filters before those of the proxy's own, lower priorities first, older ones first. A patch
that cannot be read changes nothing and says why; the rest goes on. What a patch makes of a resource is kept as long as
neither changes.
"""

from kaiki.translate.patches.apply import Patched, chosen_filters, patched

__all__ = ["Patched", "chosen_filters", "patched"]
