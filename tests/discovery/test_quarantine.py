"""What Envoy refuses is traced to one object, which alone is held back."""

from __future__ import annotations

from kaiki.discovery.quarantine import Quarantine, origins_of
from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import ROUTE_TYPE, Resource
from kaiki.model.route import DirectResponse, HttpRoute, VirtualService
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.encode import versioned
from kaiki.translate.origins import config_path


def _routes(name: str, status: int = 200) -> VirtualService:
    source = ObjectRef("VirtualService", "default", name)
    return VirtualService(source, (name,), http=(HttpRoute(source, 0, DirectResponse(status)),))


def _snapshot(*items: VirtualService) -> MeshSnapshot:
    return MeshSnapshot(virtual_services={"mesh": items})


def _resource(*names: str, version: str = "1") -> Resource:
    from envoy.config.route.v3 import route_pb2

    table = route_pb2.RouteConfiguration(name="80")
    for name in names:
        route = table.virtual_hosts.add(name=name + version).routes.add()
        fields = route.metadata.filter_metadata["istio"].fields
        fields["config"].string_value = config_path(ObjectRef("VirtualService", "default", name))
        fields["rule"].string_value = "http[0]"
    return versioned("80", ROUTE_TYPE, bytes(table.SerializeToString(deterministic=True)))


def _in_force(quarantine: Quarantine, snapshot: MeshSnapshot) -> dict[str, int]:
    found = quarantine.apply(snapshot).virtual_services["mesh"]
    return {item.source.name: item.http[0].action.status for item in found}  # type: ignore[union-attr]


def test_origins_of_long_and_short_names() -> None:
    names = ("a", "b2", "x" * 120)
    assert [item.name for item in origins_of(_resource(*names))] == list(names)


def test_the_newest_change_is_held_back_and_what_was_before_stays() -> None:
    quarantine, other = Quarantine(), _routes("other")
    quarantine.publish(_snapshot(_routes("shop"), other))
    changed = _snapshot(_routes("shop", 500), other)
    quarantine.publish(changed)
    assert quarantine.refuse(_resource("other", "shop"), (), "no such thing")
    assert _in_force(quarantine, changed) == {"shop": 200, "other": 200}
    (finding,) = quarantine.findings()
    assert (finding.resource.name, finding.code) == ("shop", "KAI0801")
    assert "no such thing" in finding.message
    corrected = _snapshot(_routes("shop", 404), other)
    quarantine.publish(corrected)
    assert _in_force(quarantine, corrected) == {"shop": 404, "other": 200}
    assert quarantine.findings() == ()


def test_refused_again_the_next_one_is_held_back() -> None:
    quarantine, snapshot = Quarantine(), _snapshot(_routes("one"), _routes("two"))
    quarantine.publish(snapshot)
    assert quarantine.refuse(_resource("one", "two", version="1"), (), "bad")
    first = set(_in_force(quarantine, snapshot))
    assert not quarantine.refuse(_resource("one", "two", version="1"), (), "bad"), "another proxy says the same"
    assert quarantine.refuse(_resource("one", "two", version="2"), (), "bad")
    assert first | set(_in_force(quarantine, snapshot)) == {"one", "two"}
    assert quarantine.refuse(_resource("one", "two", version="3"), (), "bad")
    assert _in_force(quarantine, snapshot) == {}


def test_what_comes_from_no_object_is_left_alone() -> None:
    quarantine = Quarantine()
    quarantine.publish(_snapshot(_routes("shop")))
    assert not quarantine.refuse(_resource(), (), "bad")
