"""Volumes that a pod's annotations add for its proxy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaiki.inject.containers import USER_MOUNTS_KEY, USER_VOLUMES_KEY, user_list
from kaiki.inject.pod import inject_pod
from kaiki.inject.settings import InjectionSettings

SETTINGS = InjectionSettings(version="0", render_bootstrap=lambda _: {})


def test_volumes_and_mounts_are_added_to_the_proxy_alone() -> None:
    volumes = [{"name": "roots", "hostPath": {"path": "/roots.pem"}}]
    mounts = [{"name": "roots", "mountPath": "/etc/ssl/certs/ca-certificates.crt", "readOnly": True}]
    pod: dict[str, Any] = {
        "metadata": {
            "name": "one",
            "namespace": "shop",
            "annotations": {USER_VOLUMES_KEY: json.dumps(volumes), USER_MOUNTS_KEY: json.dumps(mounts)},
        },
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    injected = inject_pod(pod, {"istio-injection": "enabled"}, SETTINGS)
    assert injected is not None
    assert volumes[0] in injected["spec"]["volumes"]
    proxy = next(one for one in injected["spec"]["initContainers"] if one["name"] == "istio-proxy")
    assert proxy["volumeMounts"][-1] == mounts[0]
    assert "volumeMounts" not in injected["spec"]["containers"][0]


@pytest.mark.parametrize("text", ["", "{", "3", '["x"]', '[{"emptyDir": {}}]'])
def test_what_is_no_list_of_volumes_adds_nothing(text: str) -> None:
    assert user_list({USER_VOLUMES_KEY: text}, USER_VOLUMES_KEY) == []


def test_an_object_of_names_is_a_list_too() -> None:
    assert user_list({USER_VOLUMES_KEY: '{"roots": {"emptyDir": {}}}'}, USER_VOLUMES_KEY) == [
        {"name": "roots", "emptyDir": {}}
    ]
