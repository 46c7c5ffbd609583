"""StatefulSets keep order, DaemonSets keep one, Jobs end."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kaiki.controllers.action import Create, Delete
from kaiki.controllers.job import plan_job
from kaiki.controllers.pod_set import plan_daemon_set, plan_stateful_set

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Object = dict[str, Any]


def owner(kind: str, **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "shop", "uid": "o", "generation": 1},
        "spec": {"template": template, "selector": {"matchLabels": {"app": "web"}}, **spec},
    }


class World:
    """Owner and pods; pods become what the test says."""

    def __init__(self, subject: Object, plan: Any) -> None:
        self.owner, self.plan = subject, plan
        self.pods: dict[str, Object] = {}
        self.made = 0

    def step(self, at: datetime = NOW) -> list[str]:
        step = self.plan(self.owner, list(self.pods.values()), at)
        done = []
        for action in step.actions:
            match action:
                case Create(pod):
                    self.made += 1
                    metadata = pod["metadata"]
                    name = metadata.get("name") or f"{metadata['generateName']}{self.made}"
                    self.pods[name] = pod | {"metadata": {**metadata, "name": name, "uid": name}, "status": {}}
                    self.pods[name]["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
                    done.append(f"+{name}")
                case Delete(pod):
                    self.pods.pop(pod["metadata"]["name"], None)
                    done.append(f"-{pod['metadata']['name']}")
        self.owner["status"] = {**self.owner.get("status", {}), **step.status}
        return done

    def become(self, name: str, phase: str = "Running", ready: bool = True) -> None:
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        self.pods[name]["status"] = {"phase": phase, "conditions": conditions}

    def all_ready(self) -> None:
        for name in self.pods:
            self.become(name)


def test_a_stateful_set_starts_in_order() -> None:
    world = World(owner("StatefulSet", replicas=2, serviceName="peers"), plan_stateful_set)
    assert world.step() == ["+web-0"]
    assert world.step() == [], "the first one is not ready"
    world.become("web-0")
    assert world.step() == ["+web-1"]
    world.become("web-1")
    assert world.step() == []
    pod = world.pods["web-1"]
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-1", "peers")
    assert pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
    status = world.owner["status"]
    assert status["currentRevision"] == status["updateRevision"] and status["readyReplicas"] == 2


def test_a_stateful_set_is_replaced_from_the_last() -> None:
    world = World(owner("StatefulSet", replicas=2), plan_stateful_set)
    for _ in range(3):
        world.step()
        world.all_ready()
    world.owner["spec"]["template"] = {"metadata": {}, "spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    assert world.step() == ["-web-1"]
    assert world.owner["status"]["currentRevision"] != world.owner["status"]["updateRevision"]
    assert world.step() == ["+web-1"]
    assert world.step() == []
    world.become("web-1")
    assert world.step() == ["-web-0"]
    world.owner["spec"]["replicas"] = 1
    world.step()
    world.all_ready()
    assert world.step() == ["-web-1"]
    world.become("web-0", "Failed", False)
    assert world.step() == ["-web-0"]
    assert world.step() == ["+web-0"]


def test_parallel_makes_all_at_once() -> None:
    world = World(owner("StatefulSet", replicas=3, podManagementPolicy="Parallel"), plan_stateful_set)
    assert world.step() == ["+web-0", "+web-1", "+web-2"]


def test_claims_become_volumes() -> None:
    claim = {"metadata": {"name": "data"}}
    world = World(owner("StatefulSet", volumeClaimTemplates=[claim]), plan_stateful_set)
    world.step()
    volumes = world.pods["web-0"]["spec"]["volumes"]
    assert volumes == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}]


def test_a_daemon_set_keeps_one_pod() -> None:
    world = World(owner("DaemonSet"), plan_daemon_set)
    assert world.step() == ["+web-1"]
    world.all_ready()
    assert world.step() == []
    assert world.owner["status"]["numberAvailable"] == 1
    world.owner["spec"]["template"]["spec"] = {"containers": []}
    assert world.step() == ["-web-1"]
    assert world.step() == ["+web-2"]
    world.become("web-2", "Failed", False)
    assert world.step() == ["-web-2"]


def test_a_job_runs_to_its_completions() -> None:
    world = World(owner("Job", completions=3, parallelism=2), plan_job)
    assert world.step() == ["+web-1", "+web-2"]
    world.become("web-1", "Succeeded")
    assert world.step() == ["+web-3"]
    for name in ("web-2", "web-3"):
        world.become(name, "Succeeded")
    assert world.step() == []
    status = world.owner["status"]
    assert (status["succeeded"], status["active"], status["conditions"][0]["type"]) == (3, 0, "Complete")
    world.owner["spec"]["ttlSecondsAfterFinished"] = 10
    assert world.step() == []
    assert world.step(NOW + timedelta(seconds=10)) == ["-web"]


def test_a_job_gives_up() -> None:
    world = World(owner("Job", backoffLimit=1), plan_job)
    world.step()
    world.become("web-1", "Failed", False)
    assert world.step() == [], "not at once again"
    assert world.step(NOW + timedelta(seconds=1)) == ["+web-2"]
    world.become("web-2", "Failed", False)
    assert world.step(NOW + timedelta(seconds=9)) == []
    assert world.owner["status"]["conditions"][0]["reason"] == "BackoffLimitExceeded"


def test_a_job_has_a_deadline() -> None:
    world = World(owner("Job", activeDeadlineSeconds=5), plan_job)
    world.step()
    assert world.step(NOW + timedelta(seconds=5)) == ["-web-1"]
    assert world.owner["status"]["conditions"][0]["reason"] == "DeadlineExceeded"
