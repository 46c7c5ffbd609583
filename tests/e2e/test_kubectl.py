"""A demanding user of kubectl at a whole mesh: everything a cluster answers is answered, word for word where it counts.

The walk goes from looking, over making and changing, to ending things; Bookinfo runs behind the gateway all the time.
"""

from __future__ import annotations

import errno
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import SteadyLoad
from mesh import BINARIES, REPOSITORY, Mesh, wait_until

pytestmark = pytest.mark.e2e

IMAGE = "kaiki/examples-bookinfo-details-v1:1"
BOOKINFO = "samples/bookinfo/platform/bookinfo.yaml"
NETWORKING = "samples/bookinfo/networking"
BOAT = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  names: {kind: Boat, plural: boats, shortNames: [bt]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Sails, type: integer, jsonPath: .spec.sails}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {sails: {type: integer, description: How many sails it has.}}}
"""
LIMITS = """
apiVersion: v1
kind: LimitRange
metadata: {name: limits, namespace: walk}
spec: {limits: [{type: Container, default: {memory: 1Gi}, defaultRequest: {cpu: 10m}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: walk}
spec: {hard: {pods: "50"}}
"""


def lines(text: str) -> list[list[str]]:
    """A table's words."""
    return [line.split() for line in text.splitlines()]


@pytest.fixture(scope="module")
def walk(bookinfo: Mesh) -> Iterator[Mesh]:
    """Bookinfo, and a namespace to try things in."""
    bookinfo.kubectl("create", "namespace", "walk")
    bookinfo.kubectl("apply", "-f", f"{NETWORKING}/destination-rule-all.yaml")
    yield bookinfo
    bookinfo.kubectl("delete", "namespace", "walk", "--ignore-not-found")


@pytest.fixture(scope="module")
def web(walk: Mesh) -> Mesh:
    """A Deployment `web` in the namespace `walk`."""
    walk.kubectl("create", "deployment", "web", f"--image={IMAGE}", "--port=9080", "-n", "walk")
    walk.kubectl("rollout", "status", "deployment/web", "-n", "walk")
    return walk


# Looking ------------------------------------------------------------------------------------------------------------


def test_tables(bookinfo: Mesh) -> None:
    head, *rows = lines(bookinfo.kubectl("get", "pods"))
    assert head == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert {tuple(row[1:4]) for row in rows} == {("2/2", "Running", "0")}
    wide = lines(bookinfo.kubectl("get", "pods", "-o", "wide", "--show-labels", "-l", "app=reviews"))
    assert wide[0][5:9] == ["IP", "NODE", "NOMINATED", "NODE"]
    assert [row[6] for row in wide[1:]] == ["kaiki"] * 3
    assert all("app=reviews" in row[-1] for row in wide[1:])
    everything = bookinfo.kubectl("get", "all")
    for kind in ("pod/", "service/reviews", "deployment.apps/details-v1", "replicaset.apps/"):
        assert kind in everything
    assert "istio-system" in bookinfo.kubectl("get", "pods", "-A")
    for kinds in ("svc,ep,endpointslices,sa,cm,secret", "ns,nodes,crd,leases,events", "gw,vs,dr"):
        bookinfo.kubectl("get", kinds)
    assert "Ready" in bookinfo.kubectl("get", "nodes", "-o", "wide")


def test_forms_and_selections(bookinfo: Mesh) -> None:
    names = bookinfo.kubectl("get", "pods", "-o", "name", "--sort-by=.metadata.name").split()
    assert names == sorted(names)
    assert len(names) == 6
    assert "kind: Deployment" in bookinfo.kubectl("get", "deployment", "details-v1", "-o", "yaml")
    path = "jsonpath={.items[*].status.qosClass}"
    assert set(bookinfo.kubectl("get", "pods", "-o", path).split()) == {"Burstable"}
    columns = "custom-columns=NAME:.metadata.name,IP:.status.podIP"
    assert "10.97." in bookinfo.kubectl("get", "pods", "-o", columns, "-l", "app in (details,ratings)")
    chosen = "--field-selector=status.phase=Running,spec.nodeName=kaiki"
    assert len(bookinfo.objects("pods", chosen)) == 6
    assert "field label not supported" in bookinfo.kubectl("get", "pods", "--field-selector=spec.x=1", check=False)
    watched = bookinfo.kubectl("get", "pods", "-w", "--output-watch-events", "--request-timeout=1s", check=False)
    assert watched.count("ADDED") == 6


def test_istio_kinds_in_all_versions(bookinfo: Mesh) -> None:
    for version in ("v1", "v1beta1", "v1alpha3"):
        text = bookinfo.kubectl("get", f"virtualservices.{version}.networking.istio.io", "bookinfo", "-o", "yaml")
        assert f"apiVersion: networking.istio.io/{version}" in text
        path = "virtualservice.spec.http.route"
        assert "destination" in bookinfo.kubectl("explain", path, f"--api-version=networking.istio.io/{version}")
    assert "bookinfo-gateway" in bookinfo.kubectl("get", "gw,vs")


ISTIO = {
    "extensions.istio.io": "wasmplugins",
    "networking.istio.io": "destinationrules envoyfilters gateways proxyconfigs serviceentries sidecars "
    "virtualservices workloadentries workloadgroups",
    "security.istio.io": "authorizationpolicies peerauthentications requestauthentications",
    "telemetry.istio.io": "telemetries",
    "gateway.networking.k8s.io": "backendtlspolicies gatewayclasses gateways grpcroutes httproutes listenersets "
    "referencegrants tcproutes tlsroutes udproutes",
    "gateway.networking.x-k8s.io": "xbackends xbackendtrafficpolicies xmeshes",
}


def test_the_definitions_of_istio_and_the_gateway_api_are_there(bookinfo: Mesh) -> None:
    wanted = {f"{plural}.{group}" for group, plurals in ISTIO.items() for plural in plurals.split()}
    found = {each["metadata"]["name"]: each for each in bookinfo.objects("customresourcedefinitions")}
    assert wanted <= set(found)
    for name in wanted:
        conditions = {each["type"]: each["status"] for each in found[name]["status"]["conditions"]}
        assert conditions["Established"] == "True"
    for group, plurals in ISTIO.items():
        assert set(plurals.split()) <= set(
            bookinfo.kubectl("api-resources", f"--api-group={group}", "-o", "name").replace(f".{group}", "").split()
        )


def test_what_the_server_says_of_itself(bookinfo: Mesh) -> None:
    assert "Server Version: v1." in bookinfo.kubectl("version")
    assert "is running at https://127.0.0.1" in bookinfo.kubectl("cluster-info")
    assert "kaiki-admin" in bookinfo.kubectl("auth", "whoami")
    assert bookinfo.kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    assert "networking.istio.io/v1alpha3" in bookinfo.kubectl("api-versions")
    assert "virtualservices" in bookinfo.kubectl("api-resources", "--api-group=networking.istio.io")
    assert bookinfo.kubectl("get", "--raw", "/readyz") == "ok"
    assert "nodeSelector" in bookinfo.kubectl("explain", "pod.spec")


def test_the_meshs_own_accounts_have_what_they_need_and_no_more(bookinfo: Mesh) -> None:
    accounts = {
        "istiod": ("list secrets", "delete namespaces"),
        "prometheus": ("watch pods", "get secrets"),
        "kiali": ("list services", "delete pods"),
        "istio-ingressgateway-service-account": ("create selfsubjectreviews.authentication.k8s.io", "list services"),
    }
    for account, (allowed, denied) in accounts.items():
        user = f"--as=system:serviceaccount:istio-system:{account}"
        assert bookinfo.kubectl("auth", "can-i", *allowed.split(), user).strip() == "yes"
        assert "no" in bookinfo.kubectl("auth", "can-i", *denied.split(), user, check=False)
    refusals = [line for line in (bookinfo.home / "logs/node.log").read_text().splitlines() if "refused: " in line]
    assert [line for line in refusals if "system:serviceaccount:istio-system:" in line] == []


def test_descriptions_and_events(bookinfo: Mesh) -> None:
    pod = bookinfo.kubectl("describe", "pod", "-l", "app=details")
    for text in ("Controlled By:  ReplicaSet/details-v1-", "istio-proxy:", "Started container details", "Scheduled"):
        assert text in pod
    assert "Scaled up replica set" in bookinfo.kubectl("describe", "deployment", "details-v1")
    assert "9080/TCP" in bookinfo.kubectl("describe", "service", "reviews")
    assert "Non-terminated Pods" in bookinfo.kubectl("describe", "node", "kaiki")
    for kind in ("gateway.networking.istio.io/bookinfo-gateway", "virtualservice/bookinfo"):
        assert "Spec:" in bookinfo.kubectl("describe", kind)
    assert "ScalingReplicaSet" in bookinfo.kubectl("events", "--for", "deployment/details-v1")


def test_logs(bookinfo: Mesh) -> None:
    assert bookinfo.kubectl("logs", "-l", "app=reviews", "--tail=1", "--prefix").count("/reviews] ") == 3
    assert "serves" in bookinfo.kubectl("logs", "deployment/details-v1", "--since=1h", "--timestamps")
    assert bookinfo.kubectl("logs", "deployment/details-v1", "-c", "istio-proxy", "--tail=1")
    previous = bookinfo.kubectl("logs", "deployment/details-v1", "--previous", check=False)
    assert 'previous terminated container "details" in pod' in previous
    command = [str(BINARIES / "kubectl"), "logs", "-f", "deployment/details-v1"]
    environment = bookinfo.environment | {"KUBECONFIG": str(bookinfo.home / "kubeconfig")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert "serves" in following.stdout.readline()
        following.terminate()


# Making and changing ------------------------------------------------------------------------------------------------


def test_applied_again_nothing_changes(walk: Mesh) -> None:
    assert {row[-1] for row in lines(walk.kubectl("apply", "-f", BOOKINFO))} == {"unchanged"}
    assert "created" not in walk.kubectl("apply", "--dry-run=server", "-f", BOOKINFO)
    assert "serverside-applied" in walk.kubectl("apply", "--server-side", "--force-conflicts", "-f", BOOKINFO)
    assert walk.kubectl("diff", "-f", BOOKINFO) == ""
    changed = (REPOSITORY / BOOKINFO).read_text().replace("periodSeconds: 2", "periodSeconds: 3")
    assert "+          periodSeconds: 3" in walk.kubectl("diff", "-f", "-", given=changed, check=False)
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in walk.pods())


def test_addons_over_the_installation_change_nothing(walk: Mesh) -> None:
    before = {pod["metadata"]["uid"] for pod in walk.pods("istio-system")}
    answer = walk.kubectl("apply", "-f", "samples/addons", check=False)
    assert {row[-1] for row in lines(answer)} == {"unchanged"}, answer
    assert {pod["metadata"]["uid"] for pod in walk.pods("istio-system")} == before


def test_kustomizations(walk: Mesh, tmp_path: Path) -> None:
    kustomization = {"namespace": "walk", "configMapGenerator": [{"name": "made", "literals": ["a=b"]}]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
    assert "configmap/made-" in walk.kubectl("apply", "-k", str(tmp_path))
    assert "deleted" in walk.kubectl("delete", "-k", str(tmp_path))


def test_created_by_name(walk: Mesh, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"]
    walk.command(*command, "/CN=a", "-keyout", str(key), "-out", str(certificate))
    for arguments in (
        ("configmap", "map", "--from-literal=a=b"),
        ("secret", "generic", "plain", "--from-literal=a=b"),
        ("secret", "tls", "pair", f"--cert={certificate}", f"--key={key}"),
        ("serviceaccount", "robot"),
        ("service", "nodeport", "ported", "--tcp=80:9080"),
        ("service", "externalname", "elsewhere", "--external-name=example.com"),
    ):
        assert "created" in walk.kubectl("create", *arguments, "-n", "walk")
    assert walk.kubectl("create", "token", "robot", "-n", "walk").count(".") == 2
    assert "kubernetes.io/tls" in walk.kubectl("get", "secrets", "-n", "walk")


def test_limits(walk: Mesh) -> None:
    walk.kubectl("apply", "-f", "-", given=LIMITS)
    walk.kubectl("run", "limited", f"--image={IMAGE}", "-n", "walk")
    (pod,) = walk.objects("pods", "-n", "walk", "-l", "run=limited")
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}
    walk.kubectl("wait", "pod/limited", "-n", "walk", "--for=condition=Ready", "--timeout=30s")
    walk.kubectl("delete", "limits,quota,pod", "--all", "-n", "walk")


def test_changed_in_every_way(walk: Mesh, web: Mesh) -> None:
    deployment = ("deployment", "web", "-n", "walk")
    walk.kubectl("label", *deployment, "tier=front")
    walk.kubectl("annotate", *deployment, "note=short")
    container = {"name": "examples-bookinfo-details-v1", "env": [{"name": "A", "value": "1"}]}
    strategic = {"spec": {"template": {"spec": {"containers": [container]}}}}
    walk.kubectl("patch", *deployment, "-p", json.dumps(strategic))
    walk.kubectl("patch", *deployment, "--type=merge", "-p", '{"metadata":{"labels":{"tier":"back"}}}')
    walk.kubectl("patch", *deployment, "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":2}]')
    (found,) = walk.objects(*deployment)
    found["metadata"]["labels"]["tier"] = "middle"
    del found["metadata"]["resourceVersion"]  # the rollout goes on meanwhile
    walk.kubectl("replace", "-f", "-", given=json.dumps(found))
    walk.environment["EDITOR"] = "sed -i s/middle/edited/"
    assert "edited" in walk.kubectl("edit", *deployment)
    (found,) = walk.objects(*deployment)
    assert found["metadata"]["labels"]["tier"] == "edited"
    assert found["spec"]["replicas"] == 2
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
    assert "exposed" in walk.kubectl("expose", *deployment, "--name=front", "--port=80", "--target-port=9080")


def test_rollouts(walk: Mesh, web: Mesh) -> None:
    web = ("deployment/web", "-n", "walk")  # type: ignore[assignment]
    walk.kubectl("set", "env", *web, "B=2")
    walk.kubectl("set", "image", *web, "*=kaiki/examples-bookinfo-ratings-v1:1")
    assert "successfully rolled out" in walk.kubectl("rollout", "status", *web)
    assert len(lines(walk.kubectl("rollout", "history", *web))) > 3
    walk.kubectl("rollout", "undo", *web)
    walk.kubectl("rollout", "restart", *web)
    assert "successfully rolled out" in walk.kubectl("rollout", "status", *web)
    assert (
        walk.objects("deployment", "web", "-n", "walk")[0]["spec"]["template"]["spec"]["containers"][0]["image"]
        == IMAGE
    )
    assert "Expected replicas to be 7" in walk.kubectl(
        "scale", *web, "--current-replicas=7", "--replicas=1", check=False
    )
    walk.kubectl("scale", *web, "--current-replicas=2", "--replicas=1")
    walk.kubectl("wait", *web, "--for=jsonpath={.status.readyReplicas}=1", "--timeout=30s")


def test_definitions_of_users(walk: Mesh) -> None:
    walk.kubectl("apply", "-f", "-", given=BOAT)
    walk.kubectl("wait", "crd/boats.example.com", "--for=condition=Established", "--timeout=10s")
    boat = {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "one"}, "spec": {"sails": 3}}
    walk.kubectl("apply", "-f", "-", given=json.dumps(boat))
    assert lines(walk.kubectl("get", "bt")) == [["NAME", "SAILS"], ["one", "3"]]
    assert "How many sails it has." in walk.kubectl("explain", "boat.spec")
    walk.kubectl("delete", "-f", "-", given=BOAT)
    assert "the server" in walk.kubectl("get", "bt", check=False)


def test_node_ports_open_and_close(walk: Mesh) -> None:
    kiali = ("service", "kiali", "-n", "istio-system")
    walk.kubectl("patch", *kiali, "-p", '{"spec":{"type":"NodePort"}}')
    port = walk.kubectl("get", *kiali, "-o", "jsonpath={.spec.ports[0].nodePort}")
    wait_until(lambda: walk.get(f"http://127.0.0.1:{port}/")[0] < 500, "the console answers on its node port")
    walk.kubectl("patch", *kiali, "-p", '{"spec":{"type":"ClusterIP"}}')

    def closed() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", int(port))) == errno.ECONNREFUSED

    wait_until(closed, "the node port is closed")


def test_a_cordoned_node_takes_no_pod(walk: Mesh, web: Mesh) -> None:
    walk.kubectl("cordon", "kaiki")
    walk.kubectl("scale", "deployment/web", "-n", "walk", "--replicas=2")
    waiting = ("pods", "-n", "walk", "--field-selector=status.phase=Pending")
    wait_until(lambda: "Pending" in walk.kubectl("get", *waiting), "the pod is pending")
    wait_until(lambda: "were unschedulable" in walk.kubectl("events", "-n", "walk"), "an event says why")
    assert "drained (server dry run)" in walk.kubectl("drain", "kaiki", "--dry-run=server", check=False)
    walk.kubectl("uncordon", "kaiki")
    walk.kubectl("rollout", "status", "deployment/web", "-n", "walk")


# Under load ---------------------------------------------------------------------------------------------------------


def test_rolling_restarts_lose_no_request(walk: Mesh) -> None:
    with SteadyLoad(f"{walk.gateway}/productpage", requests_per_second=40) as load:
        load.wait_for_more(20)
        for namespace, names in (
            ("default", ("reviews-v1", "reviews-v2", "reviews-v3")),
            ("default", ("productpage-v1",)),
            ("istio-system", ("istio-ingressgateway",)),
        ):
            walk.kubectl("rollout", "restart", "deployment", *names, "-n", namespace)
            for name in names:
                walk.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace)
        load.wait_for_more(20)
    assert load.failures == {}


def test_scaling_to_nothing_and_back(walk: Mesh) -> None:
    with SteadyLoad(f"{walk.gateway}/productpage", requests_per_second=40) as load:
        walk.kubectl("scale", "deployment/details-v1", "--replicas=0")
        walk.kubectl("wait", "pod", "-l", "app=details", "--for=delete", "--timeout=30s")
        walk.kubectl("scale", "deployment/details-v1", "--replicas=1")
        walk.kubectl("rollout", "status", "deployment/details-v1")
        load.wait_for_more(5)
    # The page says that details are missing, and goes on.
    assert load.failures == {}
    wait_until(lambda: "Book Details" in walk.get(f"{walk.gateway}/productpage")[1], "the details are back")


def test_a_deleted_pod_is_replaced_and_ends_in_order(walk: Mesh) -> None:
    (before,) = walk.pods(selector="app=ratings")
    name = before["metadata"]["name"]
    walk.kubectl("delete", "pod", name)
    (after,) = walk.pods(selector="app=ratings")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    ended = [
        event["message"]
        for event in walk.objects("events", f"--field-selector=involvedObject.name={name},reason=Killing")
    ]
    assert ended == ["Stopping container ratings", "Stopping container istio-proxy"]


# Ending -------------------------------------------------------------------------------------------------------------


def test_deleted_in_every_way(walk: Mesh, web: Mesh) -> None:
    assert "force deleted" in walk.kubectl(
        "delete", "pod", "-n", "walk", "-l", "app=web", "--grace-period=0", "--force"
    )
    walk.kubectl("delete", "service", "front", "--wait=false", "-n", "walk", "--ignore-not-found")
    walk.kubectl("delete", "-f", f"{NETWORKING}/destination-rule-all.yaml")
    walk.kubectl("delete", "all", "--all", "-n", "walk")
    wait_until(lambda: walk.kubectl("get", "all", "-n", "walk") == "", "all is gone")


def test_a_namespace_ends_with_its_content(walk: Mesh) -> None:
    walk.kubectl("label", "namespace", "walk", "istio-injection=enabled")
    walk.kubectl("apply", "-n", "walk", "-f", BOOKINFO)
    walk.kubectl("rollout", "status", "-n", "walk", "deployment/details-v1", "--timeout=60s")
    walk.kubectl("delete", "namespace", "walk", "--timeout=60s")
    assert "not found" in walk.kubectl("get", "namespace", "walk", check=False)
