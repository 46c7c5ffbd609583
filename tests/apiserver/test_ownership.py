"""Who owns which fields: the entries of managedFields after writes of every kind."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from kaiki.apiserver.apply import server_side_apply
from kaiki.apiserver.field_sets import compare, difference, intersection, ownable, paths, stated, union
from kaiki.apiserver.ownership import ANCIENT, UPDATERS, Manager, track_update
from kaiki.apiserver.schemas import definition

Object = dict[str, Any]
DEPLOYMENT = definition("io.k8s.api.apps.v1.Deployment")
CONFIG_MAP = definition("io.k8s.api.core.v1.ConfigMap")
MAPS, DEPLOYMENTS = "/api/v1/namespaces/default/configmaps", "/apis/apps/v1/namespaces/default/deployments"
APPLY, MERGE, JSON_PATCH = (
    f"application/{name}" for name in ("apply-patch+yaml", "merge-patch+json", "json-patch+json")
)
WEB: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]},
        },
    },
}


def owners(value: Object) -> dict[tuple[str, str, str], Object]:
    """The entries by manager, operation and subresource."""
    entries = value["metadata"].get("managedFields") or ()
    return {(each["manager"], each["operation"], each.get("subresource", "")): each for each in entries}


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


async def test_who_creates_owns_all_with_its_defaults(api: Any) -> None:
    """As Kubernetes 1.33 writes it for this Deployment: what holds others is owned only where it came with them."""
    code, made = await api.post(f"{DEPLOYMENTS}?fieldManager=kubectl-create", WEB)
    assert code == 201
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsType"]) == (
        "kubectl-create",
        "Update",
        "apps/v1",
        "FieldsV1",
    )
    assert entry["time"] == made["metadata"]["creationTimestamp"]
    port = {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}}}
    container = {"f:name": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:resources": {}, "f:ports": {".": {}, **port}}
    container |= {".": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}}
    pod = {f"f:{name}": {} for name in ("dnsPolicy", "restartPolicy", "schedulerName", "securityContext")}
    pod |= {"f:terminationGracePeriodSeconds": {}, "f:containers": {'k:{"name":"web"}': container}}
    spec = {f"f:{name}": {} for name in ("progressDeadlineSeconds", "replicas", "revisionHistoryLimit", "selector")}
    rolling = {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}
    labels = {"f:labels": {".": {}, "f:app": {}}}
    spec |= {"f:strategy": {"f:rollingUpdate": rolling, "f:type": {}}}
    assert entry["fieldsV1"] == {
        "f:metadata": labels,
        "f:spec": {**spec, "f:template": {"f:metadata": labels, "f:spec": pod}},
    }


async def test_every_kind_of_write_makes_its_writer_an_owner(api: Any) -> None:
    await api.post(f"{DEPLOYMENTS}?fieldManager=maker", WEB)
    path = f"{DEPLOYMENTS}/web"
    await api.patch(f"{path}?fieldManager=labeler", {"metadata": {"labels": {"tier": "front"}}}, MERGE)
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}]
    await api.patch(f"{path}?fieldManager=imager", image, JSON_PATCH)
    await api.patch(f"{path}/scale?fieldManager=scaler", {"spec": {"replicas": 3}}, MERGE)
    _, current = await api.get(path)
    _, with_status = await api.put(f"{path}/status", current | {"status": {"replicas": 3, "observedGeneration": 3}})
    found = owners(with_status)
    web = 'k:{"name":"web"}'
    assert found["labeler", "Update", ""]["fieldsV1"] == {"f:metadata": {"f:labels": {"f:tier": {}}}}
    spec = {"f:template": {"f:spec": {"f:containers": {web: {"f:image": {}}}}}}
    assert found["imager", "Update", ""]["fieldsV1"] == {"f:spec": spec}
    assert found["scaler", "Update", "scale"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    (status,) = (entry for (_, _, subresource), entry in found.items() if subresource == "status")
    assert status["manager"] == "Python"  # the user agent up to the first slash
    assert status["fieldsV1"] == {"f:status": {"f:replicas": {}, "f:observedGeneration": {}}}
    left = found["maker", "Update", ""]["fieldsV1"]["f:spec"]
    assert "f:replicas" not in left
    assert "f:image" not in left["f:template"]["f:spec"]["f:containers"][web]


async def test_writes_of_one_manager_merge_and_what_changes_nothing_keeps_the_time(api: Any) -> None:
    await api.post(f"{MAPS}?fieldManager=me", config_map(a="1"))
    old = [{"op": "replace", "path": "/metadata/managedFields/0/time", "value": "2020-01-01T00:00:00Z"}]
    code, aged = await api.patch(f"{MAPS}/a", old, JSON_PATCH)
    assert (code, aged["metadata"]["managedFields"][0]["time"]) != (200, None)
    _, same = await api.patch(f"{MAPS}/a?fieldManager=me", {"data": {"a": "1"}}, MERGE)
    assert same["metadata"] == aged["metadata"]
    _, more = await api.patch(f"{MAPS}/a?fieldManager=me", {"data": {"b": "1"}}, MERGE)
    (entry,) = more["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
    _, less = await api.patch(f"{MAPS}/a?fieldManager=other", {"data": {"a": None}}, MERGE)
    assert [each["manager"] for each in less["metadata"]["managedFields"]] == ["me"]
    assert less["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {".": {}, "f:b": {}}}


async def test_entries_can_be_cleared_and_edited_but_not_through_a_subresource(api: Any) -> None:
    await api.post(f"{DEPLOYMENTS}?fieldManager=maker", WEB)
    path = f"{DEPLOYMENTS}/web"
    _, kept = await api.patch(f"{path}/status", {"metadata": {"managedFields": [{}]}}, MERGE)
    assert ("maker", "Update", "") in owners(kept)
    _, kept = await api.patch(path, {"metadata": {"managedFields": None}}, MERGE)
    assert ("maker", "Update", "") in owners(kept)
    _, kept = await api.patch(path, {"metadata": {"managedFields": [{"manager": "unreadable"}]}}, MERGE)
    assert list(owners(kept)) == [("maker", "Update", "")]
    mine = [{**kept["metadata"]["managedFields"][0], "manager": "heir"}]
    _, kept = await api.patch(path, {"metadata": {"managedFields": mine}}, MERGE)
    assert list(owners(kept)) == [("heir", "Update", "")]
    _, cleared = await api.patch(path, {"metadata": {"managedFields": [{}]}}, MERGE)
    assert "managedFields" not in cleared["metadata"]
    _, later = await api.patch(f"{path}?fieldManager=x", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert "managedFields" not in later["metadata"]
    applied = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1}}
    _, again = await api.patch(f"{path}?fieldManager=y", applied, APPLY)
    assert set(owners(again)) == {("y", "Apply", ""), ("before-first-apply", "Update", "")}


async def test_applying_what_an_update_owns_is_a_conflict_that_names_it(api: Any) -> None:
    await api.post(f"{MAPS}?fieldManager=kubectl-create", config_map(a="1", b="1"))
    code, one = await api.patch(f"{MAPS}/a?fieldManager=me", config_map(a="2"), APPLY)
    assert code == 409
    assert one["message"] == 'Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.a'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-create" using v1', "field": ".data.a"}
    assert one["details"]["causes"] == [cause]
    _, two = await api.patch(f"{MAPS}/a?fieldManager=me", config_map(a="2", b="2"), APPLY)
    expected = 'Apply failed with 2 conflicts: conflicts with "kubectl-create" using v1:\n- .data.a\n- .data.b'
    assert two["message"] == expected
    code, forced = await api.patch(f"{MAPS}/a?fieldManager=me&force=true", config_map(a="2"), APPLY)
    assert (code, forced["data"]) == (200, {"a": "2", "b": "1"})
    found = owners(forced)
    assert found["me", "Apply", ""]["fieldsV1"] == {"f:data": {"f:a": {}}}
    assert found["kubectl-create", "Update", ""]["fieldsV1"] == {"f:data": {".": {}, "f:b": {}}}


async def test_the_scale_can_be_applied(api: Any) -> None:
    await api.post(f"{DEPLOYMENTS}?fieldManager=maker", WEB)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 4}}
    path = f"{DEPLOYMENTS}/web/scale?fieldManager=me"
    code, refused = await api.patch(path, scale, APPLY)
    assert (code, refused["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
    code, applied = await api.patch(f"{path}&force=true", scale, APPLY)
    assert (code, applied["spec"]["replicas"]) == (200, 4)
    _, value = await api.get(f"{DEPLOYMENTS}/web")
    assert owners(value)["me", "Apply", "scale"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    refusal = await api.patch(f"{DEPLOYMENTS}/web?fieldManager=you", {**WEB, "spec": {"replicas": 5}}, APPLY)
    assert 'conflict with "me" with subresource "scale": .spec.replicas' in refusal[1]["message"]


async def test_the_status_of_a_definition_is_the_servers(api: Any) -> None:
    names = {"plural": "boats", "kind": "Boat", "singular": "boat", "listKind": "BoatList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    boats = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    boats |= {"metadata": {"name": "boats.sea.example"}}
    boats |= {"spec": {"group": "sea.example", "scope": "Namespaced", "names": names, "versions": [version]}}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.sea.example"
    for _ in range(2):
        _, made = await api.patch(f"{path}?fieldManager=me", boats, APPLY)
        found = owners(made)
        assert set(found) == {("me", "Apply", ""), ("kube-apiserver", "Update", "status")}
        fields = found["kube-apiserver", "Update", "status"]["fieldsV1"]["f:status"]
        assert {"f:acceptedNames", "f:conditions", "f:storedVersions"} == set(fields)


async def test_our_own_watches_leave_the_entries_out(api: Any) -> None:
    note = {"note": '],"resourceVersion":"1"', "other": ',"managedFields":[{"x'}
    value = config_map(a="1") | {"metadata": {"name": "a", "annotations": note}}
    _, made = await api.post(MAPS, value)
    _, listed = await api.get(f"{MAPS}?omitManagedFields=true")
    (found,) = (each for each in listed["items"] if each["metadata"]["name"] == "a")
    del made["metadata"]["managedFields"]
    assert found == {**made, "apiVersion": "v1", "kind": "ConfigMap"}


def test_at_most_ten_updaters_are_kept_apart() -> None:
    value = config_map()
    for number in range(UPDATERS + 5):
        new = config_map(**value["data"], **{f"k{number}": ""})
        writer = Manager(f"m{number:02}", "Update", "v1", f"2030-01-01T00:00:{number:02}Z")
        new["metadata"]["managedFields"] = value["metadata"].get("managedFields") or []
        track_update({**value, "metadata": new["metadata"]}, new, CONFIG_MAP, writer)
        value = new
    entries = value["metadata"]["managedFields"]
    names = [each["manager"] for each in entries]
    assert names == [ANCIENT, *(f"m{number:02}" for number in range(6, UPDATERS + 5))]
    assert set(entries[0]["fieldsV1"]["f:data"]) == {f"f:k{number}" for number in range(6)}
    assert entries[0]["time"] == "2030-01-01T00:00:05Z"


def test_kubectl_takes_over_what_it_applied_client_side() -> None:
    text = {"kubectl.kubernetes.io/last-applied-configuration": orjson.dumps(config_map(a="1")).decode()}
    live = config_map(a="1", b="1")
    live["metadata"]["annotations"] = text
    track_update({"metadata": {}}, live, CONFIG_MAP, Manager("kubectl-client-side-apply", "Update", "v1", "t"))
    kubectl = Manager("kubectl", "Apply", "v1", "t")
    taken = server_side_apply(live, config_map(a="2"), CONFIG_MAP, kubectl, False)
    assert taken["data"] == {"a": "2", "b": "1"}
    kept = orjson.loads(taken["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
    assert kept["data"] == {"a": "2"}


def test_what_is_no_longer_applied_goes_with_its_defaults() -> None:
    """A probe that is applied and then left out: what defaults have added to it must not stay behind alone."""
    probe = {"name": "a", "livenessProbe": {"httpGet": {"path": "/", "port": 80}}}
    value = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}
    with_probe = value | {"spec": {"template": {"spec": {"containers": [probe]}}}}
    without = value | {"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}
    me = Manager("me", "Apply", "apps/v1", "t")
    first = server_side_apply(None, with_probe, DEPLOYMENT, me, False)
    container = first["spec"]["template"]["spec"]["containers"][0]
    container["livenessProbe"] |= {"periodSeconds": 10}
    container["livenessProbe"]["httpGet"]["scheme"] = "HTTP"
    second = server_side_apply(first, without, DEPLOYMENT, me, False)
    assert second["spec"]["template"]["spec"]["containers"] == [{"name": "a"}]


# Properties

names = st.sampled_from(["a", "b", "c"])
scalars = st.sampled_from(["1", "2"])
ports = st.lists(st.integers(1, 3), unique=True, max_size=3).map(lambda found: [{"containerPort": n} for n in found])
containers = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"image": scalars, "ports": ports, "args": st.lists(scalars)}),
    unique_by=lambda each: each["name"],
    max_size=3,
)
deployments = st.builds(
    lambda labels, spec, pod: {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", **({"labels": labels} if labels else {})},
        "spec": {**spec, **({"template": {"spec": {"containers": pod}}} if pod else {})},
    },
    st.dictionaries(names, scalars),
    st.fixed_dictionaries({}, optional={"replicas": st.integers(1, 2), "paused": st.booleans()}),
    containers,
)
field_sets = deployments.map(lambda value: stated(ownable(value), DEPLOYMENT))


@given(field_sets, field_sets)
def test_sets_are_sets(one: Object, other: Object) -> None:
    here, there = set(paths(one)), set(paths(other))
    assert set(paths(union(one, other))) == here | there
    assert set(paths(difference(one, other))) == here - there
    assert set(paths(intersection(one, other))) == here & there


@given(deployments, deployments)
def test_what_differs_is_seen_and_only_that(old: Object, new: Object) -> None:
    changed, removed = compare(old, new, DEPLOYMENT)
    back_changed, back_removed = compare(new, old, DEPLOYMENT)
    assert set(paths(removed)) & set(paths(changed)) == set()
    assert (set(paths(removed)) <= set(paths(back_changed))) and (set(paths(back_removed)) <= set(paths(changed)))
    assert (not changed and not removed) == (compare(new, old, DEPLOYMENT) == ({}, {}))


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "apply", "force"]), deployments), max_size=6))
def test_every_stated_field_has_one_updater_or_many_appliers(writes: list[tuple[str, Object]]) -> None:
    """After any writes: no field belongs to two updaters, nobody owns what is not there, who applied has its values."""
    value: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {}}
    for who, wanted in writes:
        if who in ("apply", "force"):
            value = server_side_apply(value, wanted, DEPLOYMENT, Manager(who, "Apply", "apps/v1", "t"), True)
            changed, _ = compare(wanted, value, DEPLOYMENT)
            assert not intersection(changed, stated(ownable(wanted), DEPLOYMENT))
        else:
            new = {**wanted, "metadata": {**wanted["metadata"]}}
            new["metadata"]["managedFields"] = value["metadata"].get("managedFields") or []
            track_update(value, new, DEPLOYMENT, Manager(who, "Update", "apps/v1", "t"))
            value = new
        there = set(paths(compare({"metadata": {}}, ownable(value), DEPLOYMENT)[0]))
        updaters = [set(paths(each["fieldsV1"])) for each in owners(value).values() if each["operation"] == "Update"]
        assert all(each <= there for each in updaters)
        assert not any(one & other for at, one in enumerate(updaters) for other in updaters[at + 1 :])
