"""What Envoy refuses is traced to one object, which alone is held back."""

from __future__ import annotations

from typing import Any

from kaiki.discovery.quarantine import Quarantine, brief
from kaiki.interpret.inputs import InputTable, Key
from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import ROUTE_TYPE, Resource

Source = dict[str, Any]


class World:
    """Objects, what a quarantine gives of them, and the generations published."""

    def __init__(self, *objects: Source) -> None:
        self.quarantine, self.number = Quarantine(), 0
        self.table = InputTable()
        self.set(*objects)

    def set(self, *objects: Source) -> None:
        self.table = self.table.changed({(one["kind"], "default", one["name"]): one for one in objects})
        self.publish()

    def remove(self, kind: str, name: str) -> None:
        self.table = self.table.changed({(kind, "default", name): None})
        self.publish()

    def publish(self) -> None:
        self.given = self.quarantine.withhold(self.table)
        self.number += 1
        self.quarantine.published(self.number)

    def refuse(self, version: str, *names: str, reason: str = "bad", place: str = "80", built: int = 0) -> bool:
        item = Resource(place, ROUTE_TYPE, version, b"")
        origins = [ObjectRef("VirtualService", "default", name) for name in names]
        held = self.quarantine.refuse(item, origins, reason, built or self.number)
        if held:
            self.publish()
        return held

    def in_force(self) -> dict[str, Any]:
        return {key[2]: obj["spec"] for key, obj in self.given.items()}

    def held(self) -> list[str]:
        return [finding.resource.name for finding in self.quarantine.findings()]


def routes(name: str, status: int = 200, kind: str = "VirtualService") -> Source:
    return {"kind": kind, "name": name, "spec": status}


def test_the_newest_change_is_held_back_and_what_was_before_stays() -> None:
    world = World(routes("shop"), routes("other"))
    world.set(routes("shop", 500))
    assert world.refuse("1", "other", "shop", reason="no such thing")
    assert world.in_force() == {"shop": 200, "other": 200}
    (finding,) = world.quarantine.findings()
    assert (finding.resource.name, finding.code) == ("shop", "KAI0801")
    assert "no such thing" in finding.message
    assert "as it was before" in finding.hint
    world.set(routes("shop", 404))
    assert world.in_force() == {"shop": 404, "other": 200}
    assert world.held() == []


def test_refused_again_the_next_one_is_held_back() -> None:
    world = World(routes("one"), routes("two"))
    assert world.refuse("1", "one", "two")
    first = set(world.in_force())
    assert not world.refuse("1", "one", "two"), "another proxy says the same"
    assert world.refuse("2", "one", "two")
    assert first | set(world.in_force()) == {"one", "two"}
    assert world.refuse("3", "one", "two")
    assert world.in_force() == {}
    assert world.refuse("4", "one", "two")
    assert set(world.in_force()) == {"one", "two"}, "holding them back helps nobody"
    assert not world.refuse("5", "one", "two")


def test_what_was_before_is_left_out_if_it_is_refused_too() -> None:
    world = World(routes("shop"))
    world.set(routes("shop", 500))
    assert world.refuse("1", "shop")
    assert world.in_force() == {"shop": 200}
    assert world.refuse("2", "shop")
    assert world.in_force() == {}
    assert world.held() == ["shop"]


def test_what_was_sent_before_it_was_held_back_accuses_nobody() -> None:
    world = World(routes("shop"), routes("other"))
    assert world.refuse("1", "shop", "other")
    held = world.held()
    assert not world.refuse("7", "shop", "other", place="8080", built=1)
    assert world.held() == held


def test_an_object_that_makes_no_difference_is_let_go_and_the_next_one_tried() -> None:
    world = World(routes("culprit"))
    world.set(routes("innocent"))
    assert world.refuse("1", "innocent", "culprit")
    assert world.held() == ["innocent"]
    same = {ROUTE_TYPE: {"80": Resource("80", ROUTE_TYPE, "1", b"")}}
    assert not world.quarantine.look_again(same, world.number - 1), "that was without it"
    assert world.quarantine.look_again(same, world.number)
    world.publish()
    assert world.held() == ["culprit"]
    assert not world.quarantine.look_again({ROUTE_TYPE: {"80": Resource("80", ROUTE_TYPE, "2", b"")}}, world.number)


def test_a_second_object_is_found_while_the_first_is_held_back() -> None:
    world = World(routes("other"))
    world.set(routes("one", 1))
    assert world.refuse("1", "other", "one")
    assert world.held() == ["one"]
    world.set(routes("two", 2))
    assert world.refuse("2", "other", "two")
    assert world.held() == ["one", "two"]
    assert world.in_force() == {"other": 200}
    world.remove("VirtualService", "one")
    assert world.held() == ["two"]


def test_what_comes_from_no_object_is_left_alone() -> None:
    world = World(routes("shop"))
    assert not world.refuse("1")
    assert not world.refuse("1", "unknown")


def test_a_policy_of_tls_is_never_simply_left_out() -> None:
    policy = {"kind": "BackendTLSPolicy", "name": "tls", "spec": {"validation": {"wellKnownCACertificates": "System"}}}
    world = World(policy)
    item = Resource("outbound|443||a", ROUTE_TYPE, "1", b"")
    assert world.quarantine.refuse(item, [ObjectRef("BackendTLSPolicy", "default", "tls")], "bad", world.number)
    world.publish()
    assert world.in_force() == {"tls": {"validation": {"wellKnownCACertificates": "Refused"}}}


def test_reasons_are_told_without_the_resource() -> None:
    dump = 'goo.gle/debugproto\nname: "a"\nlb {\n  size: 9\n}\n: Proto constraint validation failed (size\n: is large)'
    assert brief(dump.replace("\n: is", " is")) == "Proto constraint validation failed (size is large)"
    assert brief("Unknown  cluster\n'a'") == "Unknown cluster 'a'"
    assert len(brief("x" * 9000)) < 600


def test_what_keeps_something_out_is_never_left_out() -> None:
    policy = routes("deny", kind="AuthorizationPolicy")
    world = World(policy, routes("shop"))
    suspects = [ObjectRef("AuthorizationPolicy", "default", "deny"), ObjectRef("VirtualService", "default", "shop")]

    def refuse(version: str) -> bool:
        item = Resource("virtualInbound", ROUTE_TYPE, version, b"")
        held = world.quarantine.refuse(item, suspects, "bad", world.number)
        world.publish()
        return held

    assert refuse("1")
    assert world.held() == ["shop"]
    assert refuse("2")
    assert world.held() == ["deny"]
    assert set(world.in_force()) == {"deny", "shop"}
    targets = {ROUTE_TYPE: {"virtualInbound": Resource("virtualInbound", ROUTE_TYPE, "2", b"")}}
    assert not world.quarantine.look_again(targets, world.number)
    world.set(routes("deny", 403, kind="AuthorizationPolicy"))
    assert world.held() == []
    world.set(routes("deny", 405, kind="AuthorizationPolicy"))
    assert refuse("3")
    assert world.in_force() == {"deny": 403, "shop": 200}, "what it was before is known"


def test_what_has_not_changed_is_not_given_anew() -> None:
    key: Key = ("Pod", "default", "a")
    world = World(routes("shop"), routes("other"))
    assert world.refuse("1", "shop")
    before = world.given
    world.table = world.table.changed({key: {"kind": "Pod", "name": "a", "spec": 0}})
    world.publish()
    assert world.given.of_kind("VirtualService") is before.of_kind("VirtualService")
    assert world.given.by_kind["VirtualService"] is before.by_kind["VirtualService"]
