"""From pods to scrape targets."""

from typing import Any

from kaiki.telemetry.scrape.targets import APPLICATION_PORT, pod_target, pod_targets, static_target


def _pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": "u1",
            "name": "web-1",
            "namespace": "shop",
            "labels": {"app": "web", "app.kubernetes.io/name": "web"},
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "15020",
                "prometheus.io/path": "/stats/prometheus",
            },
        },
        "spec": {"containers": [{"ports": [{"containerPort": 8080}]}]},
        "status": {"podIP": "10.97.0.9", "phase": "Running", **status},
    }


def test_an_annotated_pod_is_a_target() -> None:
    target = pod_target(_pod())
    assert target is not None
    assert target.url == "http://10.97.0.9:15020/stats/prometheus"
    assert dict(target.labels) == {
        "app": "web",
        "app_kubernetes_io_name": "web",
        "instance": "10.97.0.9:15020",
        "job": "kubernetes-pods",
        "namespace": "shop",
        "pod": "web-1",
    }


def test_port_and_path_have_defaults() -> None:
    pod = _pod()
    pod["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
    target = pod_target(pod)
    assert target is not None
    assert target.url == "http://10.97.0.9:8080/metrics"


def test_pods_that_are_not_scraped() -> None:
    assert pod_target(_pod(podIP="")) is None
    assert pod_target(_pod(phase="Succeeded")) is None
    silent = _pod()
    silent["metadata"]["annotations"]["prometheus.io/scrape"] = "false"
    assert pod_target(silent) is None


def test_the_sidecar_says_when_counters_began() -> None:
    running = {"state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}
    target = pod_target(_pod(initContainerStatuses=[{"name": "istio-proxy", **running}]))
    assert target is not None
    assert target.started_ms == 1_767_323_045_000


def test_a_leaving_pod_is_still_a_target() -> None:
    pod = _pod()
    pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    target = pod_target(pod)
    assert target is not None and target.leaving


def test_static_targets() -> None:
    assert static_target("127.0.0.1:9").url == "http://127.0.0.1:9/metrics"
    assert static_target("127.0.0.1:9/stats/prometheus").url == "http://127.0.0.1:9/stats/prometheus"


def test_an_application_behind_a_sidecar_is_a_target_of_its_own() -> None:
    pod = _pod(containerStatuses=[{"name": "web", "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}])
    assert len(pod_targets(pod)) == 1
    pod["metadata"]["annotations"][APPLICATION_PORT] = "9100"
    sidecar, application = pod_targets(pod)
    assert application.url == "http://10.97.0.9:15020/app-metrics"
    assert dict(application.labels) == {**dict(sidecar.labels), "instance": "10.97.0.9:9100"}
    assert application.key != sidecar.key
    assert application.started_ms == 1_767_323_045_000
