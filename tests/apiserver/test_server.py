"""The API over HTTP: concurrency, watches, deletion, validation, identity."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest

from kaiki.apiserver import credentials

Object = dict[str, Any]
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
STRATEGIC = "application/strategic-merge-patch+json"


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **spec: Any) -> Object:
    containers = [{"name": "main", "image": "web:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


async def test_open_paths_and_no_others(api: Any) -> None:
    for path in ("/readyz", "/livez", "/healthz", "/version"):
        async with api.session.get(api.url + path) as response:
            assert response.status == 200
    for token in ("", "wrong"):
        api.token = token
        code, status = await api.get(MAPS)
        assert (code, status["reason"]) == (401, "Unauthorized")


async def test_optimistic_concurrency_and_no_op_writes(api: Any) -> None:
    _, first = await api.post(MAPS, config_map("one", a="1"))
    _, second = await api.put(f"{MAPS}/one", {**first, "data": {"a": "2"}})
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    code, status = await api.put(f"{MAPS}/one", {**first, "data": {"a": "3"}})
    assert (code, status["reason"]) == (409, "Conflict")
    _, same = await api.patch(f"{MAPS}/one", {"data": {"a": "2"}})
    assert same["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    code, status = await api.post(MAPS, config_map("one"))
    assert (code, status["reason"]) == (409, "AlreadyExists")
    code, status = await api.get(f"{MAPS}/none")
    assert (code, status["message"]) == (404, 'configmaps "none" not found')


async def test_generation_counts_changes_of_the_spec_only(api: Any) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}}
    _, made = await api.post(path, {"metadata": {"name": "web"}, "spec": spec})
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    _, labelled = await api.patch(f"{path}/web", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    _, status = await api.patch(f"{path}/web/status", {"status": {"replicas": 1}, "spec": {"replicas": 9}})
    assert (status["status"], status["spec"]["replicas"]) == ({"replicas": 1}, 1)
    code, scale = await api.patch(f"{path}/web/scale", {"spec": {"replicas": 3}})
    assert (code, scale["kind"], scale["spec"]["replicas"]) == (200, "Scale", 3)
    _, after = await api.get(f"{path}/web")
    assert (after["metadata"]["generation"], after["spec"]["replicas"]) == (2, 3)
    code, refused = await api.patch(f"{path}/web", {"spec": {"selector": {"matchLabels": {"app": "other"}}}})
    assert code == 422
    assert "field is immutable" in refused["message"]


async def test_field_validation_names_the_path(api: Any) -> None:
    wrong = pod("wrong") | {"spec": {"containers": [{"name": "main", "image": "x", "imag": "y"}]}}
    code, status = await api.post(f"{PODS}?fieldValidation=Strict", wrong)
    assert code == 400
    assert 'strict decoding error: unknown field "spec.containers[0].imag"' in status["message"]
    code, made = await api.post(PODS, wrong)
    assert code == 201
    assert api.warnings == ['299 - "unknown field \\"spec.containers[0].imag\\""']
    assert "imag" not in made["spec"]["containers"][0]
    code, status = await api.post(PODS, pod("typed", hostNetwork="yes"))
    assert code == 400
    expected = "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"
    assert expected in status["message"]
    code, status = await api.post(PODS, {"metadata": {"name": "Up"}, "spec": {"containers": []}})
    assert code == 422
    assert {cause["field"] for cause in status["details"]["causes"]} == {"metadata.name", "spec.containers"}


async def test_services_get_addresses_and_node_ports(api: Any) -> None:
    path = "/api/v1/namespaces/default/services"
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    balancer = {"metadata": {"name": "one"}, "spec": {"type": "LoadBalancer", "ports": ports}}
    _, made = await api.post(path, balancer)
    spec = made["spec"]
    assert spec["clusterIP"].startswith("10.96.")
    assert all(30000 <= port["nodePort"] < 32768 for port in spec["ports"])
    assert spec["ports"][0]["targetPort"] == 80
    _, again = await api.put(
        f"{path}/one", {"metadata": {"name": "one"}, "spec": {"type": "LoadBalancer", "ports": ports}}
    )
    assert again["spec"] == spec
    code, _ = await api.post(
        path, {"metadata": {"name": "two"}, "spec": {"ports": ports, "clusterIP": spec["clusterIP"]}}
    )
    assert code == 422
    code, _ = await api.patch(f"{path}/one", {"spec": {"clusterIP": "10.96.9.9"}})
    assert code == 422
    _, headless = await api.post(path, {"metadata": {"name": "no"}, "spec": {"clusterIP": "None", "ports": ports}})
    assert headless["spec"]["clusterIPs"] == ["None"]


async def test_pods_go_gracefully(api: Any) -> None:
    await api.post(PODS, pod("bound", nodeName="kaiki"))
    code, deleting = await api.delete(f"{PODS}/bound")
    assert (code, deleting["metadata"]["deletionGracePeriodSeconds"]) == (200, 30)
    _, held = await api.get(f"{PODS}/bound")
    assert "deletionTimestamp" in held["metadata"]
    _, gone = await api.delete(f"{PODS}/bound", {"gracePeriodSeconds": 0})
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert (await api.get(f"{PODS}/bound"))[0] == 404
    await api.post(PODS, pod("waiting"))
    assert (await api.delete(f"{PODS}/waiting"))[1]["kind"] == "Status"


async def test_new_pods_get_their_service_account(api: Any) -> None:
    _, made = await api.post(PODS, pod("one"))
    volume = made["spec"]["volumes"][0]
    assert made["spec"]["serviceAccountName"] == "default"
    assert volume["name"].startswith("kube-api-access-")
    assert made["spec"]["containers"][0]["volumeMounts"][0]["name"] == volume["name"]
    _, bare = await api.post(PODS, pod("two", automountServiceAccountToken=False))
    assert "volumes" not in bare["spec"]
    code, refused = await api.post(PODS, pod("three", serviceAccountName="nobody"))
    assert (code, refused["reason"]) == (403, "Forbidden")


async def test_finalizers_hold_an_object(api: Any) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    await api.post(MAPS, held)
    _, deleting = await api.delete(f"{MAPS}/held")
    assert deleting["metadata"]["deletionTimestamp"]
    await api.patch(f"{MAPS}/held", {"metadata": {"finalizers": None}})
    assert (await api.get(f"{MAPS}/held"))[0] == 404


async def test_namespaces_end_when_finalized(api: Any) -> None:
    await api.post("/api/v1/namespaces", {"metadata": {"name": "team"}})
    code, _ = await api.post("/api/v1/namespaces/none/configmaps", config_map("x"))
    assert code == 404
    _, ending = await api.delete("/api/v1/namespaces/team")
    assert ending["status"]["phase"] == "Terminating"
    code, refused = await api.post("/api/v1/namespaces/team/configmaps", config_map("x"))
    assert (code, refused["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    ending["spec"]["finalizers"] = []
    await api.put("/api/v1/namespaces/team/finalize", ending)
    assert (await api.get("/api/v1/namespaces/team"))[0] == 404
    assert (await api.delete("/api/v1/namespaces/default"))[0] == 403


async def test_lists_page_and_select(api: Any) -> None:
    for number in range(5):
        one = config_map(f"m{number}")
        one["metadata"]["labels"] = {"odd": str(number % 2)}
        await api.post(MAPS, one)
    _, first = await api.get(f"{MAPS}?limit=3")
    assert first["metadata"]["remainingItemCount"] == 2
    _, second = await api.get(f"{MAPS}?limit=3&continue={first['metadata']['continue']}")
    assert [each["metadata"]["name"] for each in first["items"] + second["items"]] == [f"m{n}" for n in range(5)]
    _, odd = await api.get(f"{MAPS}?labelSelector=odd+in+(1)")
    assert [each["metadata"]["name"] for each in odd["items"]] == ["m1", "m3"]
    _, named = await api.get(f"{MAPS}?fieldSelector=metadata.name%3Dm2")
    assert len(named["items"]) == 1
    await api.delete(f"{MAPS}?labelSelector=odd%3D1")
    assert len((await api.get(MAPS))[1]["items"]) == 3


async def test_watch_from_a_list_and_with_initial_events(api: Any) -> None:
    await api.post(MAPS, config_map("one"))
    _, listed = await api.get(MAPS)
    since = listed["metadata"]["resourceVersion"]
    stream = api.watch(f"{MAPS}?watch=true&resourceVersion={since}&timeoutSeconds=20")
    await api.patch(f"{MAPS}/one", {"data": {"a": "1"}})
    await api.delete(f"{MAPS}/one")
    assert [(await anext(stream))["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]
    await stream.aclose()
    await api.post(MAPS, config_map("two"))
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    stream = api.watch(f"{MAPS}?{query}")
    assert (await anext(stream))["object"]["metadata"]["name"] == "two"
    end = await anext(stream)
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    await stream.aclose()
    # A revision this server has never reached (its store was replaced): the client has to list again.
    code, status = await api.get(f"{MAPS}?watch=true&resourceVersion={since}0")
    assert (code, status["reason"]) == (410, "Expired")


async def test_dry_run_stores_nothing(api: Any) -> None:
    code, _ = await api.post(f"{MAPS}?dryRun=All", config_map("dry"))
    assert code == 201
    assert (await api.get(f"{MAPS}/dry"))[0] == 404


async def test_events_are_one_collection_under_two_versions(api: Any) -> None:
    about = {"kind": "Pod", "name": "one", "namespace": "default"}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "message": "hello", "reason": "Said", "type": "Normal"}
    await api.post("/api/v1/namespaces/default/events", event)
    _, other = await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (other["note"], other["regarding"]["name"]) == ("hello", "one")
    _, found = await api.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Done")
    assert len(found["items"]) == 1


async def test_service_account_tokens(api: Any) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api.post(accounts, {"metadata": {"name": "bob"}})
    await api.post(PODS, pod("bobs", serviceAccountName="bob"))
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "bobs"}
    spec = {"audiences": ["istio-ca"], "boundObjectRef": bound}
    _, answer = await api.post(f"{accounts}/bob/token", {"spec": spec})
    token = answer["status"]["token"]
    review = "/apis/authentication.k8s.io/v1/tokenreviews"
    _, checked = await api.post(review, {"spec": {"token": token, "audiences": ["istio-ca"]}})
    assert checked["status"]["authenticated"]
    assert checked["status"]["user"]["username"] == "system:serviceaccount:default:bob"
    assert checked["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["bobs"]
    _, other = await api.post(review, {"spec": {"token": token, "audiences": ["else"]}})
    assert not other["status"].get("authenticated")
    _, own = await api.post(f"{accounts}/bob/token", {"spec": {}})
    admin, api.token = api.token, own["status"]["token"]
    _, who = await api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:bob"
    api.token = admin
    await api.delete(f"{PODS}/bobs")
    _, late = await api.post(review, {"spec": {"token": token, "audiences": ["istio-ca"]}})
    assert not late["status"].get("authenticated")
    await api.delete(f"{accounts}/bob")
    api.token = own["status"]["token"]
    assert (await api.get(MAPS))[0] == 401


async def test_a_service_account_token_ends_with_its_time(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api.post(accounts, {"metadata": {"name": "bob"}})
    _, answer = await api.post(f"{accounts}/bob/token", {"spec": {"expirationSeconds": 600}})
    admin, api.token = api.token, answer["status"]["token"]
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    now = time.time()
    monkeypatch.setattr("kaiki.apiserver.tokens.time.time", lambda: now + 590)
    assert (await api.post(review, {}))[0] == 201
    monkeypatch.setattr("kaiki.apiserver.tokens.time.time", lambda: now + 601)
    code, status = await api.post(review, {})
    assert (code, status["reason"], "has expired" in status["message"]) == (401, "Unauthorized", True)
    token, api.token = api.token, admin
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    _, checked = await api.post(path, {"spec": {"token": token}})
    assert not checked["status"].get("authenticated")
    assert "has expired" in checked["status"]["error"]


async def test_secrets_encode_string_data_and_files_are_private(api: Any) -> None:
    path = "/api/v1/namespaces/default/secrets"
    _, made = await api.post(path, {"metadata": {"generateName": "s-"}, "stringData": {"a": "b"}})
    assert made["data"] == {"a": base64.b64encode(b"b").decode()}
    assert made["metadata"]["name"].startswith("s-")
    folder = credentials.pki_folder(api.home)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


async def test_concurrent_writers_lose_nothing(api: Any) -> None:
    await api.post(MAPS, config_map("shared"))
    await asyncio.gather(*(api.patch(f"{MAPS}/shared", {"data": {f"k{n}": "v"}}) for n in range(20)))
    _, shared = await api.get(f"{MAPS}/shared")
    assert len(shared["data"]) == 20


@pytest.mark.parametrize("path", ["/apis/none.example/v1/things", "/api/v1/nothing", f"{MAPS}/x/none", "/apis/none"])
async def test_unknown_paths(api: Any, path: str) -> None:
    code, status = await api.get(path)
    assert (code, status["reason"]) == (404, "NotFound")
