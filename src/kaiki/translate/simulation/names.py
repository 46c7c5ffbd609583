"""Names as DNS would resolve them for a client."""

from __future__ import annotations

from kaiki.model.service import Service
from kaiki.model.snapshot import MeshSnapshot


def address_of(snapshot: MeshSnapshot, host: str, namespace: str) -> tuple[str, Service | None]:
    """(destination IP, service) of what a client in `namespace` calls `host`; empty and None if the mesh has none."""
    name = host.partition(":")[0].lower().rstrip(".")
    parts = name.split(".")
    candidates = [name]
    if len(parts) == 1:
        candidates.append(f"{name}.{namespace}.svc.cluster.local")
    if len(parts) == 2:
        candidates.append(f"{name}.svc.cluster.local")
    if len(parts) == 3:
        candidates.append(f"{name}.cluster.local")
    for candidate in candidates:
        service = snapshot.services.get(candidate)
        if service is None:
            continue
        if service.addresses:
            return service.addresses[0], service
        return next(
            (item.address for key, items in snapshot.endpoints.items() if key[0] == candidate for item in items), ""
        ), service
    by_address = next((item for item in snapshot.services.values() if name in item.addresses), None)
    return (name, by_address) if by_address else ("", None)
