"""Streams into pods, as far as the API server decides: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "boat", "namespace": "default"},
    "spec": {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]},
}
PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("nobody/exec?command=ls", 404, 'pods "nobody" not found'),
        ("boat/exec?command=ls", 400, "a container name must be specified for pod boat, choose one of: [a b]"),
        ("boat/exec?command=ls&container=c", 400, "container c is not valid for pod boat"),
        ("boat/exec?command=ls&container=a", 400, "pod boat does not run on a node yet"),
        ("boat/attach?container=a", 400, "pod boat does not run on a node yet"),
        ("boat/portforward", 400, "pod boat does not run on a node yet"),
        ("boat/proxy/", 501, "kubectl port-forward reaches the ports"),
    ],
)
async def test_refused_with_a_reason(api: Any, path: str, code: int, message: str) -> None:
    await api.post(PODS, POD)
    for method in ("GET", "POST"):
        status, answer = await api.call(method, f"{PODS}/{path}")
        assert (status, answer["kind"]) == (code, "Status")
        assert message in answer["message"]
    headers = {"Authorization": f"Bearer {api.token}"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await api.session.ws_connect(f"{api.url}{PODS}/{path}", headers=headers, protocols=["v5.channel.k8s.io"])
    assert refused.value.status == code


async def test_who_may_only_look_may_not_enter(api: Any) -> None:
    await api.post(PODS, POD)
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}
    subject = {"kind": "User", "name": "looker", "apiGroup": "rbac.authorization.k8s.io"}
    group = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "look"}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "look"}
    await api.post(f"{group}/roles", {**meta, "kind": "Role", "rules": [rule]})
    await api.post(
        f"{group}/rolebindings", {**meta, "kind": "RoleBinding", "subjects": [subject], "roleRef": reference}
    )
    headers = {"Authorization": f"Bearer {api.token}", "Impersonate-User": "looker"}
    url = f"{api.url}{PODS}/boat/exec?command=ls&container=a"
    async with api.session.get(url, headers=headers) as answer:
        assert answer.status == 403
        assert "pods/exec" in (await answer.json())["message"]
