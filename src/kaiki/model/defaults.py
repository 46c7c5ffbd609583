"""What the mesh config says for objects that do not say it themselves."""

from __future__ import annotations

from dataclasses import dataclass

from kaiki.model.route import Retries

EVERYWHERE = ("*",)


@dataclass(frozen=True, slots=True)
class ObjectDefaults:
    """Where objects without `exportTo` are visible (`*`, `.`, namespaces), and how requests are tried again."""

    service_export_to: tuple[str, ...] = EVERYWHERE
    virtual_service_export_to: tuple[str, ...] = EVERYWHERE
    destination_rule_export_to: tuple[str, ...] = EVERYWHERE
    retries: Retries | None = None


NO_DEFAULTS = ObjectDefaults()
