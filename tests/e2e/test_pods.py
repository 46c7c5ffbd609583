"""Pods as far as processes can be pods, in a whole mesh: ports on the loopback, images without an entry in the map."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mesh import REPOSITORY, Mesh, wait_until

sys.path.insert(0, str(REPOSITORY / "tests" / "runtime"))

from image_archive import make_layer, write_docker_archive

pytestmark = pytest.mark.e2e

SERVER = """
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the loopback")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""


def shy(name: str, inject: bool) -> str:
    """A Deployment and a Service of an application that listens on 127.0.0.1."""
    container = {
        "name": "app",
        "image": "kaiki/host:any",
        "command": [sys.executable, "-S", "-c", SERVER],
        "ports": [{"containerPort": 8000}],
    }
    labels = {"app": name, "sidecar.istio.io/inject": str(inject).lower()}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    ports = [{"name": "http", "port": 80, "targetPort": 8000}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [deployment, service]})


@pytest.fixture(scope="module")
def pods(mesh: Mesh) -> Mesh:
    """An injected client, to call from."""
    mesh.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
    mesh.kubectl("apply", "-f", "samples/curl")
    mesh.kubectl("rollout", "status", "deployment/curl", "--timeout=90s")
    return mesh


def call(mesh: Mesh, url: str) -> str:
    return mesh.kubectl("exec", "deploy/curl", "-c", "curl", "--", "curl", "-sS", "-m", "5", url, check=False)


@pytest.mark.parametrize("inject", [True, False], ids=["with a sidecar", "without"])
def test_an_application_on_the_loopback_only(pods: Mesh, inject: bool) -> None:
    name = "shy" if inject else "bare"
    pods.kubectl("apply", "-f", "-", given=shy(name, inject))
    pods.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s")

    def told() -> bool:
        return "8000: the application listens on 127.0.0.1 only" in pods.kubectl("describe", "pod", "-l", f"app={name}")

    wait_until(told, "the pod says why nobody reaches it")
    assert "from the loopback" not in call(pods, f"http://{name}/")
    page = f"/api/details/workload/default/{name}"

    def shown(ports: list[int]) -> bool:
        return [one["loopbackPorts"] for one in pods.console(page)["pods"]] == [ports]

    wait_until(lambda: shown([8000]), "the console shows it")
    pods.kubectl("annotate", "pod", "-l", f"app={name}", "kaiki.io/reach-loopback=true")
    wait_until(lambda: "from the loopback" in call(pods, f"http://{name}/"), "it is reached")
    wait_until(lambda: shown([]), "the console is content")
    pods.kubectl("annotate", "pod", "-l", f"app={name}", "kaiki.io/reach-loopback-")
    wait_until(lambda: "from the loopback" not in call(pods, f"http://{name}/"), "it is hidden again")


@pytest.fixture
def guest(pods: Mesh) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the user's own that listens on 127.0.0.1, run in the mesh."""
    command = [sys.executable, "-m", "kaiki", "run", "mine", "--port", "8000", "--", sys.executable, "-c", SERVER]
    process = subprocess.Popen(command, env=pods.environment, cwd=REPOSITORY)
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


@pytest.mark.usefixtures("guest")
def test_a_program_of_the_users_own_needs_no_annotation(pods: Mesh) -> None:
    wait_until(lambda: "from the loopback" in call(pods, "http://mine:8000/"), "it is reached")


PAGE = 'while true; do printf "HTTP/1.1 200 OK\\r\\nContent-Length: 11\\r\\n\\r\\nfrom a box\\n" | nc -l -p 8080; done'
BOX = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: box}
spec:
  selector: {matchLabels: {app: box}}
  template:
    metadata: {labels: {app: box}}
    spec:
      initContainers:
      - {name: first, image: "example.org/box:1", args: [sh, -c, "echo from-init > /shared/init; exit 0"],
         volumeMounts: [{name: shared, mountPath: /shared}]}
      containers:
      - name: box
        image: example.org/box:1
        env: [{name: COLOUR, value: blue}, {name: SENTENCE, value: "it is $(COLOUR)"}]
        ports: [{containerPort: 8080}]
        readinessProbe: {exec: {command: [test, -e, /shared/init]}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sh, -c, "echo stopping > /proc/1/fd/1"]}}}
        volumeMounts: [{name: shared, mountPath: /shared}, {name: settings, mountPath: /etc/box}]
      volumes: [{name: shared, emptyDir: {}}, {name: settings, configMap: {name: box}}]
---
apiVersion: v1
kind: Service
metadata: {name: box}
spec: {selector: {app: box}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: box}
data: {key: value}
"""


@pytest.fixture(scope="module")
def box(pods: Mesh) -> Mesh:
    """A mesh with an archive of an image in its folder: busybox, and nothing of this machine."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox-static is not installed: apt-get install busybox-static")
    programs = ("sh", "cat", "id", "ls", "nc", "sleep", "test", "touch", "tar", "wget")
    files = {"bin": None, "tmp": None, "bin/busybox": Path(busybox).read_bytes()}
    files |= {f"bin/{name}": "busybox" for name in programs}
    files |= {"etc/passwd": b"root:x:0:0::/root:/bin/sh\nbox:x:700:701::/home/box:/bin/sh\n", "mark": b"of the image\n"}
    config = {"Cmd": ["sh", "-c", PAGE], "User": "box", "Env": ["KIND=wood"], "WorkingDir": "/scratch"}
    pods.kubectl("apply", "-f", "-", given=BOX)

    def told() -> bool:
        return "ErrImagePull" in pods.kubectl("describe", "pod", "-l", "app=box")

    wait_until(told, "the pod says that its image is not here")
    write_docker_archive(pods.home / "images" / "box.tar", "example.org/box:1", config, make_layer(files))
    pods.kubectl("rollout", "status", "deployment/box", "--timeout=90s")
    return pods


def inside(mesh: Mesh, *command: str) -> str:
    return mesh.kubectl("exec", "deploy/box", "-c", "box", "--", *command, check=False)


def test_an_image_from_an_archive(box: Mesh) -> None:
    assert inside(box, "cat", "/mark") == "of the image\n"
    assert inside(box, "id", "-u") == "700\n"
    words = inside(box, "sh", "-c", "echo $KIND $SENTENCE $HOME $PWD; cat /shared/init /etc/box/key")
    assert words == "wood it is blue /home/box /scratch\nfrom-init\nvalue"
    assert "nobody-has-this" not in inside(box, "ls", "/")
    assert inside(box, "ls", "/usr", "/scratch").count("No such file") == 1, "nothing of this machine is seen"
    wait_until(lambda: "from a box" in call(box, "http://box/"), "it answers in the mesh")
    code = box.kubectl("exec", "deploy/box", "-c", "box", "--", "sh", "-c", "exit 7", check=False)
    assert "exit code 7" in code


def test_what_it_writes_ends_with_it(box: Mesh) -> None:
    inside(box, "touch", "/scratch/kept", "/tmp/kept")
    assert "kept" in inside(box, "ls", "/scratch")
    box.kubectl("delete", "pod", "-l", "app=box", "--wait=true")
    box.kubectl("rollout", "status", "deployment/box", "--timeout=90s")
    assert "kept" not in inside(box, "ls", "/scratch")
    wait_until(lambda: len(list((box.home / "containers").iterdir())) == 1, "one pod's layers are left")


def test_logs_and_exit_codes_of_an_image(box: Mesh) -> None:
    arguments = ("--image=example.org/box:1", "--restart=Never", "--labels=sidecar.istio.io/inject=false")
    box.kubectl("run", "once", *arguments, "--", "sh", "-c", "echo said; touch /mark && id -g; exit 5")
    box.kubectl("wait", "pod/once", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    [pod] = box.objects("pod/once")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5
    assert box.kubectl("logs", "once") == "said\n701\n"
    given = json.dumps({"spec": {"securityContext": {"runAsUser": 4000}}})
    box.kubectl("run", "other", *arguments, f"--overrides={given}", "--", "id", "-u")
    box.kubectl("wait", "pod/other", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    assert box.kubectl("logs", "other") == "4000\n"


def test_logs_of_the_run_before_and_followed_by_label(pods: Mesh) -> None:
    script = "echo run; test -e /shared/again && sleep 3600; touch /shared/again; exit 3"
    container = {
        "name": "app",
        "image": "kaiki/host:any",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    metadata = {"name": "again", "labels": {"app": "again", "sidecar.istio.io/inject": "false"}}
    spec = {"containers": [container], "volumes": [{"name": "shared", "emptyDir": {}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    pods.kubectl("apply", "-f", "-", given=json.dumps(pod))
    pods.kubectl("wait", "pod/again", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "--timeout=60s")
    assert pods.kubectl("logs", "again", "--previous") == "run\n"
    command = ["kubectl", "logs", "-f", "-l", "app=again", "--prefix"]
    environment = pods.environment | {"KUBECONFIG": str(pods.home / "kubeconfig")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"[pod/again/app] run\n"
        following.terminate()


# gRPC's health service, by the library this project has anyway: it serves "ready" while the file is there.
HEALTH = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import grpc
def check(request, context):
    if request not in (b"", b"\\n\\x05ready"):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return b"\\x08\\x01" if not request or os.path.exists("/given/ready") else b"\\x08\\x02"
methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods),))
server.add_insecure_port("0.0.0.0:9000")
server.start()
server.wait_for_termination()
"""


def test_a_folder_of_the_machine_and_a_grpc_probe(pods: Mesh) -> None:
    given = pods.home / "given"
    ports = {"port": 9000}
    container = {
        "name": "app",
        "image": "kaiki/host:any",
        "command": [sys.executable, "-c", HEALTH],
        "readinessProbe": {"grpc": ports | {"service": "ready"}, "periodSeconds": 1, "failureThreshold": 1},
        "livenessProbe": {"grpc": ports, "periodSeconds": 1},
        "volumeMounts": [{"name": "given", "mountPath": "/given"}],
    }
    volume = {"name": "given", "hostPath": {"path": str(given), "type": "Directory"}}
    metadata = {"name": "healthy", "labels": {"app": "healthy", "sidecar.istio.io/inject": "false"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "volumes": [volume]},
    }
    pods.kubectl("apply", "-f", "-", given=json.dumps(pod))

    def told() -> bool:
        return f"hostPath {given} of volume 'given' does not exist" in pods.kubectl("describe", "pod", "healthy")

    wait_until(told, "the pod says which folder is missing")
    given.mkdir()
    pods.kubectl("wait", "pod/healthy", "--for=condition=Ready=false", "--timeout=60s")
    pods.kubectl("wait", "pod/healthy", "--for=jsonpath={.status.containerStatuses[0].started}=true", "--timeout=60s")
    wait_until(lambda: "Readiness probe failed" in pods.kubectl("describe", "pod", "healthy"), "it is not ready")
    (given / "ready").touch()
    pods.kubectl("wait", "pod/healthy", "--for=condition=Ready", "--timeout=60s")
    pods.kubectl("exec", "healthy", "--", "sh", "-c", "echo from inside > /given/written; rm /given/ready")
    assert (given / "written").read_text() == "from inside\n"
    pods.kubectl("wait", "pod/healthy", "--for=condition=Ready=false", "--timeout=60s")
    assert pods.pods(selector="app=healthy")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    pods.kubectl("delete", "pod", "healthy", "--wait=true")


EVERYTHING = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: "1", b: "2"}
---
apiVersion: v1
kind: Secret
metadata: {name: sec}
stringData: {k: v}
---
apiVersion: v1
kind: Pod
metadata: {name: many, labels: {app: many, sidecar.istio.io/inject: "false"}}
spec:
  terminationGracePeriodSeconds: 30
  initContainers:
  - name: first
    image: curlimages/curl
    command: [sh, -c, 'echo from-init > /shared/init']
    volumeMounts: &shared [{name: shared, mountPath: /shared}]
  - name: side
    image: curlimages/curl
    restartPolicy: Always
    command: [sh, -c, 'touch /shared/side; exec sleep 1000']
    volumeMounts: *shared
    startupProbe: {exec: {command: [test, -f, /shared/side]}, periodSeconds: 1}
  containers:
  - name: main
    image: curlimages/curl
    command: [sh, -c, 'echo args "$0" "$1"; env | sort | grep ^X_; while true; do sleep 0.2; done']
    args: ['$(X_NAME)-$(X_PLAIN)', '$$(X_NAME)']
    env:
    - {name: X_PLAIN, value: plain}
    - {name: X_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: X_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: X_MEGABYTES, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: X_MAP, valueFrom: {configMapKeyRef: {name: conf, key: a}}}
    - {name: X_SECRET, valueFrom: {secretKeyRef: {name: sec, key: k}}}
    - {name: X_NONE, valueFrom: {configMapKeyRef: {name: none, key: a, optional: true}}}
    envFrom: [{prefix: X_FROM_, configMapRef: {name: conf}}]
    resources: {limits: {memory: 64Mi}}
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'echo started > /shared/post']}}
      preStop: {exec: {command: [sh, -c, 'echo stopping > /given/stopping']}}
    readinessProbe: {exec: {command: [test, -f, /shared/post]}, periodSeconds: 1}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: conf, mountPath: /conf}
    - {name: conf, mountPath: /one/file, subPath: b}
    - {name: sec, mountPath: /sec}
    - {name: down, mountPath: /down}
    - {name: all, mountPath: /all}
    - {name: given, mountPath: /given}
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: conf, configMap: {name: conf}}
  - {name: sec, secret: {secretName: sec, defaultMode: 0400}}
  - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - name: all
    projected:
      sources:
      - configMap: {name: conf}
      - secret: {name: sec}
      - serviceAccountToken: {path: token, audience: me, expirationSeconds: 600}
  - {name: given, hostPath: {path: GIVEN, type: DirectoryOrCreate}}
"""


def test_a_pod_that_uses_everything(pods: Mesh) -> None:
    """Variables of every source, init and sidecar containers, hooks, probes, volumes of every kind."""
    given = pods.home / "everything"
    pods.kubectl("apply", "-f", "-", given=EVERYTHING.replace("GIVEN", str(given)))
    pods.kubectl("wait", "pod/many", "--for=condition=Ready", "--timeout=60s")
    logged = pods.kubectl("logs", "many", "-c", "main").splitlines()
    address = pods.kubectl("get", "pod", "many", "-o", "jsonpath={.status.podIP}")
    assert logged == [
        "args many-plain $(X_NAME)", "X_FROM_a=1", "X_FROM_b=2", f"X_IP={address}", "X_MAP=1", "X_MEGABYTES=64",
        "X_NAME=many", "X_PLAIN=plain", "X_SECRET=v",
    ]  # fmt: skip
    files = "/shared/init /shared/post /conf/a /one/file /sec/k /down/labels /all/a /all/k"
    script = f"for file in {files}; do cat $file; echo; done; wc -c < /all/token"
    *found, token_length = pods.kubectl("exec", "many", "-c", "main", "--", "sh", "-c", script).split()
    assert found[:5] == ["from-init", "started", "1", "2", "v"]
    assert found[5:] == ['app="many"', 'sidecar.istio.io/inject="false"', "1", "v"]
    assert int(token_length) > 100
    told = pods.kubectl("get", "pod", "many", "-o", "jsonpath={.status.conditions[*].type} {.status.qosClass}").split()
    assert set(told) == {
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", "Burstable",
    }  # fmt: skip
    pods.kubectl("delete", "pod", "many", "--timeout=60s")
    assert (given / "stopping").read_text() == "stopping\n"
