"""What happens inside the namespaces, one function a case: run as the supervisor by the tests beside.

A case gets an agent whose API is a dictionary. It fails by raising; its exit code is what the test sees.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from kaiki.names.server import start as start_names
from kaiki.runtime.agent import Agent
from kaiki.runtime.cluster import Token
from kaiki.runtime.host_sockets import SocketTaker
from kaiki.runtime.inside import first_process, take_inheritance
from kaiki.runtime.node_http import NodeHttp

WEB = """
import http.server, os, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = os.environ["WHO"].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""
FETCH = """
import sys, urllib.request
for url in sys.argv[1:]:
    try: print(urllib.request.urlopen(url, timeout=5).read().decode())
    except OSError as error: print(getattr(error, "reason", error).__class__.__name__)
"""


class MemoryCluster:
    """The API as a dictionary."""

    def __init__(self) -> None:
        self.config_maps: dict[str, Any] = {}
        self.statuses: dict[str, Any] = {}
        self.events: list[tuple[str, str, str]] = []
        self.removed: set[str] = set()

    def config_map(self, namespace: str, name: str) -> Any:
        return self.config_maps.get(name)

    def secret(self, namespace: str, name: str) -> Any:
        return None

    async def request_token(self, pod: Any, audience: str, expiration_seconds: int) -> Token:
        return Token(f"token for {audience}", time.time() + expiration_seconds)

    async def write_status(self, pod: Any, status: Any) -> None:
        self.statuses[pod["metadata"]["name"]] = status

    async def confirm_deletion(self, pod: Any) -> None:
        self.removed.add(pod["metadata"]["name"])

    def record_event(self, about: Any, kind: str, reason: str, message: str, field_path: str = "") -> None:
        self.events.append((about["metadata"]["name"], reason, message))

    def container(self, pod: str, name: str) -> Any:
        status = self.statuses.get(pod) or {}
        everyone = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        return next((one for one in everyone if one["name"] == name), None)

    def is_ready(self, pod: str) -> bool:
        conditions = (self.statuses.get(pod) or {}).get("conditions") or ()
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def address(self, pod: str) -> str:
        return str(self.statuses[pod]["podIP"])


class Case:
    """The agent and shorthands."""

    def __init__(self, agent: Agent, cluster: MemoryCluster, sockets: SocketTaker) -> None:
        self.agent = agent
        self.cluster = cluster
        self.sockets = sockets
        self.python = agent.settings.python

    def apply(self, name: str, *containers: Any, inits: tuple[Any, ...] = (), **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": {"app": name}}
        everything = {"containers": list(containers), "initContainers": list(inits), "nodeName": "kaiki", **spec}
        pod = {"metadata": metadata, "spec": everything}
        self.agent.apply_pod(metadata["uid"], pod)
        return pod

    def delete(self, pod: dict[str, Any], grace_seconds: int = 30) -> None:
        marked = {"deletionTimestamp": "now", "deletionGracePeriodSeconds": grace_seconds}
        self.agent.apply_pod(pod["metadata"]["uid"], {**pod, "metadata": {**pod["metadata"], **marked}})

    def script(self, name: str, code: str, *arguments: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "test/host", "command": [self.python, "-S", "-c", code, *arguments], **more}

    def web(self, who: str) -> dict[str, Any]:
        probe = {"httpGet": {"port": 80}}
        return self.script("web", WEB, env=[{"name": "WHO", "value": who}], readinessProbe=probe)

    async def output(self, pod: str, container: str) -> str:
        found = self.agent.find_log("default", pod, container, False)
        assert found, f"no log of {pod}/{container}"
        return "\n".join(line.split(" ", 3)[3] for line in found[0].read_text().splitlines())

    async def fetch(self, name: str, *urls: str, **spec: Any) -> list[str]:
        """Fetch from a pod that ends; what it printed."""
        pod = self.apply(name, self.script("fetch", FETCH, *urls), restartPolicy="Never", **spec)
        await self.until(lambda: (self.cluster.statuses.get(name) or {}).get("phase") == "Succeeded")
        lines = (await self.output(name, "fetch")).splitlines()
        self.delete(pod)
        return lines

    async def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(
                f"never: {json.dumps(self.cluster.statuses, indent=1)} {self.cluster.events}"
            ) from None


LOOK = """
import json, os, socket, sys
def refused(call):
    try: call(); return "allowed"
    except OSError as error: return type(error).__name__
mark = lambda: socket.socket().setsockopt(1, 36, 1337)
seen = {
    "uid": os.getuid(), "pid": os.getpid(), "host": socket.gethostname(), "home": os.listdir(os.environ["HIDDEN"]),
    "run": sorted(os.listdir("/run")), "resolv": open("/etc/resolv.conf").read(), "a": open("/made/deep/a").read(),
    "etc": open("/etc/kaiki-made/a").read(), "host-etc": os.path.exists("/etc/passwd"), "mark": refused(mark),
    "resolv-write": refused(lambda: open("/etc/resolv.conf", "w")), "token": open("/var/run/secrets/t/token").read(),
    "scratch": refused(lambda: open("/scratch/x", "w")), "processes": [n for n in os.listdir("/proc") if n.isdigit()],
    "ip": os.environ["IP"], "argument": sys.argv[1],
}
print(json.dumps(seen), flush=True)
import signal; signal.pause()
"""


async def case_container(case: Case) -> None:
    """What a container sees of the machine, and what it may do."""
    case.cluster.config_maps["cm"] = {"data": {"a": "1"}}
    home = str(case.agent.settings.home)
    token = {"serviceAccountToken": {"path": "token", "audience": "x"}}
    volumes = [
        {"name": "cm", "configMap": {"name": "cm"}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "token", "projected": {"sources": [token]}},
    ]
    mounts = [("cm", "/made/deep"), ("cm", "/etc/kaiki-made"), ("scratch", "/scratch"), ("token", "/var/run/secrets/t")]
    env = [
        {"name": "HIDDEN", "value": home},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    container = case.script("look", LOOK, "ip=$(IP)", env=env)
    container["volumeMounts"] = [{"name": name, "mountPath": path} for name, path in mounts]
    case.apply("p", container, volumes=volumes)
    await case.until(lambda: case.cluster.is_ready("p"))
    await case.until(lambda: case.agent.find_log("default", "p", "look", False)[0].read_text().count("\n") > 0)  # type: ignore[index]
    seen = json.loads(await case.output("p", "look"))
    address = case.cluster.address("p")
    assert seen["uid"] != 0 and seen["pid"] == 1 and seen["host"] == "p", seen
    assert seen["home"] == [] and seen["run"] == ["secrets"], seen
    assert seen["a"] == seen["etc"] == "1" and seen["host-etc"] and seen["token"] == "token for x", seen
    assert "nameserver 10.97.0.1" in seen["resolv"] and "ndots:5" in seen["resolv"], seen
    assert seen["mark"] == "PermissionError" and seen["scratch"] == "allowed", seen
    assert seen["resolv-write"] in ("OSError", "PermissionError"), seen
    assert seen["processes"] == ["1"] and seen["ip"] == address and seen["argument"] == f"ip={address}", seen
    assert not os.path.exists("/made") and not os.path.exists("/etc/kaiki-made")
    await _check_update(case)


async def _check_update(case: Case) -> None:
    """A changed ConfigMap reaches the running container."""
    runner = case.agent.find_pod("default", "p")
    assert runner
    case.cluster.config_maps["cm"] = {"data": {"a": "2"}}
    case.agent.retry_pods()
    read = ("cat", "/made/deep/a")
    code, text = await runner._runs["look"].run_command(read, 10)
    while text != "2":
        await asyncio.sleep(0.05)
        code, text = await runner._runs["look"].run_command(read, 10)
    assert code == 0


ORDER = """
import os, signal, sys, time
def say(what):
    with open("/shared/order", "a") as file: file.write(what + " ")
name, how = sys.argv[1:]
say("+" + name)
if how == "once": sys.exit(0)
def end(*_): say("-" + name); sys.exit(0)
signal.signal(signal.SIGTERM, end)
while True: signal.pause()
"""


async def case_order(case: Case) -> None:
    """Init containers, sidecars, containers; and the way back."""

    def step(name: str, how: str = "stay", **more: Any) -> dict[str, Any]:
        mount = [{"name": "shared", "mountPath": "/shared"}]
        return case.script(name, ORDER, name, how, volumeMounts=mount, **more)

    started = {"exec": {"command": ["grep", "-q", "sidecar", "/shared/order"]}}
    sidecar = step("sidecar", restartPolicy="Always", startupProbe=started)
    stop_hook = {"preStop": {"exec": {"command": ["sh", "-c", "printf 'hook ' >> /shared/order"]}}}
    app = step("app", lifecycle=stop_hook)
    inits = (step("first", "once"), sidecar, step("second", "once"))
    volumes = [{"name": "shared", "emptyDir": {}}]
    pod = case.apply("p", app, inits=inits, volumes=volumes)
    await case.until(lambda: case.cluster.is_ready("p"))
    order = case.agent.node.pod_folder(pod) / "volumes/shared/order"
    await case.until(lambda: "+app" in order.read_text())
    assert order.read_text() == "+first +sidecar +second +app ", order.read_text()
    kept = open(order)  # noqa: SIM115 — the folder is removed with the pod
    case.delete(pod)
    await case.until(lambda: "p" in case.cluster.removed)
    text = kept.read()
    assert text.endswith("+app hook -app -sidecar "), text
    assert not order.exists()


async def case_restart(case: Case) -> None:
    """A crash is followed by a start at once, then by back-off; a command that is not there says so."""
    case.apply("crash", case.script("app", "import sys; print('bye'); sys.exit(3)"))
    missing = {"name": "app", "image": "test/host", "command": ["no-such-program"]}
    case.apply("missing", missing)

    def backs_off(name: str) -> bool:
        found = case.cluster.container(name, "app") or {}
        waiting = (found.get("state") or {}).get("waiting") or {}
        return waiting.get("reason") == "CrashLoopBackOff" and found["restartCount"] == 1

    await case.until(lambda: backs_off("crash") and backs_off("missing"))
    assert case.cluster.container("crash", "app")["lastState"]["terminated"]["exitCode"] == 3
    assert "no-such-program" in case.cluster.container("missing", "app")["lastState"]["terminated"]["message"]
    reasons = {reason for name, reason, _ in case.cluster.events if name == "crash"}
    assert {"Pulled", "Created", "Started", "BackOff"} <= reasons, reasons
    previous = case.agent.find_log("default", "crash", "app", True)
    assert previous and "bye" in previous[0].read_text()


async def case_waiting(case: Case) -> None:
    """An unknown image and a missing ConfigMap wait, say what is missing, and go on when it is there."""
    case.apply("image", {"name": "app", "image": "nobody/knows:1"})
    volume = {"name": "late", "configMap": {"name": "late"}}
    case.apply("volume", case.script("app", "import signal; signal.pause()"), volumes=[volume])

    def image_wait() -> Any:
        return ((case.cluster.container("image", "app") or {}).get("state") or {}).get("waiting") or {}

    await case.until(lambda: image_wait().get("reason") == "ErrImagePull")
    watching = asyncio.create_task(case.agent.watch_images())
    await case.until(lambda: any(reason == "FailedMount" for _, reason, _ in case.cluster.events))
    message = image_wait()["message"]
    assert all(part in message for part in ("nobody/knows:1", "images.yaml", "command:")), message
    (case.agent.settings.home / "images.yaml").write_text("- {image: 'nobody/*', command: [sleep, '1000']}\n")
    case.cluster.config_maps["late"] = {"data": {}}
    case.agent.retry_pods()
    await case.until(lambda: case.cluster.is_ready("image") and case.cluster.is_ready("volume"))
    watching.cancel()


async def case_liveness(case: Case) -> None:
    """A container that stops answering is ended and started again."""
    probe = {"httpGet": {"port": 80}, "periodSeconds": 0.1, "failureThreshold": 1}
    hanging = "import time, socket; s = socket.create_server(('', 80)); time.sleep(1000)"
    case.apply("p", case.script("web", hanging, livenessProbe=probe, terminationGracePeriodSeconds=1))
    await case.until(lambda: (case.cluster.container("p", "web") or {}).get("restartCount", 0) >= 1)
    assert any(reason == "Unhealthy" for _, reason, _ in case.cluster.events)


SERVICE = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 8080, "targetPort": 80}]},
}


def slice_of(*addresses: str) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "web"}
    return {
        "metadata": {"name": "web-1", "namespace": "default", "labels": labels},
        "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": [one]} for one in addresses],
    }


async def case_services(case: Case) -> None:
    """Pods reach each other, services by name, themselves by their service, and the host; nothing else hangs."""
    pods = [case.apply(name, case.web(name)) for name in ("one", "two")]
    await case.until(lambda: all(case.cluster.is_ready(name) for name in ("one", "two")))
    await case.agent.apply_services([SERVICE], [slice_of(case.cluster.address("one"), case.cluster.address("two"))])
    by_name = "http://web:8080/"
    urls = [
        "http://web.default.svc.cluster.local:8080/",
        f"http://{case.cluster.address('two')}/",
        "http://10.96.0.99/",
    ]
    answers = await case.fetch(
        "client", *[by_name] * 30, *urls, f"http://host.kaiki.internal:{os.environ['HOST_PORT']}/"
    )
    assert set(answers[:30]) == {"one", "two"}, answers
    assert answers[30] in ("one", "two") and answers[31] == "two", answers
    assert answers[32] == "ConnectionRefusedError" and answers[33] == "the host", answers
    await case.agent.apply_services([SERVICE], [slice_of(case.cluster.address("one"))])
    runner = case.agent.find_pod("default", "one")
    assert runner
    code, text = await runner._runs["web"].run_command((case.python, "-S", "-c", FETCH, by_name), 10)
    assert code == 0 and text.strip() == "one", "a pod reaches itself through its service"
    for pod in pods:
        case.delete(pod)


async def case_serve(case: Case) -> None:
    """Stay, with a web server reached through the forwards, until told to stop."""
    http = NodeHttp(case.agent)
    await http.start(case.agent.settings.run_folder / "node.sock")
    case.apply("one", case.script("talker", "print('hello'); import signal; signal.pause()"), case.web("from a pod"))
    await case.until(lambda: case.cluster.is_ready("one"))
    await case.agent.apply_services([SERVICE], [slice_of(case.cluster.address("one"))])
    await case.sockets.stopped.wait()
    await http.stop()


ENVOY = """
import socket, struct, threading
def serve(port):
    s = socket.create_server(("", port))
    while True:
        c, _ = s.accept()
        p, a = struct.unpack_from("!2xH4s", c.getsockopt(0, 80, 16))
        c.recv(999)
        body = f"{port} {socket.inet_ntoa(a)}:{p}".encode()
        c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % len(body) + body)
        c.close()
for port in (15006, 15021): threading.Thread(target=serve, args=(port,), daemon=True).start()
m = socket.socket(); m.setsockopt(1, 36, 1337)
serve(15001)
"""


async def case_capture(case: Case) -> None:
    """Traffic of a captured pod goes through its Envoy; probes of the node and excluded ports do not."""
    redirect = {"name": "istio-init", "image": "kaiki/kaiki:1", "args": ["redirect", "--exclude-outbound-ports=15012"]}
    probe = {"httpGet": {"port": 15021}}
    envoy = case.script("proxy", ENVOY, restartPolicy="Always", startupProbe=probe) | {"image": "test/envoy"}
    urls = ("http://192.0.2.7:8080/", "http://10.96.0.20:80/", "http://10.96.0.99:15012/")
    answers = await case.fetch("client", *urls, inits=(redirect, envoy))
    expected = ["15001 192.0.2.7:8080", "15001 10.96.0.20:80", "ConnectionRefusedError"]
    assert answers == expected, answers
    case.apply("server", case.script("app", "import signal; signal.pause()"), inits=(redirect, envoy))
    await case.until(lambda: case.cluster.is_ready("server"))
    address = case.cluster.address("server")
    urls = tuple(f"http://{address}:{port}/" for port in (9080, 15001, 15021))
    answers = await case.fetch("outside", *urls)
    assert answers == [f"15006 {address}:9080", f"15006 {address}:15001", f"15021 {address}:15021"], answers


async def case_many(case: Case) -> None:
    """Ten pods at once become ready, and end."""
    pods = [case.apply(f"p{number}", case.web("x")) for number in range(10)]
    await case.until(lambda: all(case.cluster.is_ready(f"p{number}") for number in range(10)))
    for pod in pods:
        case.delete(pod)
    await case.until(lambda: len(case.cluster.removed) == 10)
    children = [name for name in os.listdir("/proc") if name.isdigit()]
    assert len(children) <= 4, "the supervisor, the nursery, the relay and nothing else"


async def main(name: str) -> None:
    """Run a case and end the node."""
    inheritance = take_inheritance()
    sockets = SocketTaker(inheritance.control)
    cluster = MemoryCluster()
    with first_process(sockets):
        agent = Agent(inheritance.settings, cluster, inheritance.nursery, inheritance.relay, sockets, start_names)
        await agent.start()
        await globals()[f"case_{name}"](Case(agent, cluster, sockets))
        await agent.stop(10)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
