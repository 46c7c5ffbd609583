"""Who may do what, by roles and bindings; who asks, by token, certificate and impersonation."""

from __future__ import annotations

import base64
import ssl
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


def role(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": list(rules)}


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> dict[str, Any]:
    return {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
        **({"resourceNames": names.split()} if names else {}),
    }


def binding(name: str, kind: str, account: str) -> dict[str, Any]:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    return {"metadata": {"name": f"{name}-{account}"}, "roleRef": reference, "subjects": [subject]}


async def account_token(api: Any, name: str, **spec: Any) -> str:
    await api.post(ACCOUNTS, {"metadata": {"name": name}})
    code, answer = await api.post(f"{ACCOUNTS}/{name}/token", {"spec": spec})
    assert code == 201, answer
    return str(answer["status"]["token"])


async def made(api: Any, path: str, body: Any) -> Any:
    code, answer = await api.post(path, body)
    assert code == 201, answer
    return answer


async def test_an_account_has_what_its_bindings_give(api: Any) -> None:
    admin, api.token = api.token, await account_token(api, "robot")
    code, refused = await api.get(PODS)
    assert code == 403
    assert refused["message"] == (
        'pods is forbidden: User "system:serviceaccount:default:robot" cannot list resource "pods" in API group "" '
        'in the namespace "default"'
    )
    robot, api.token = api.token, admin
    namespaced = f"{RBAC}/namespaces/default"
    await made(
        api,
        f"{namespaced}/roles",
        role("reader", rule("get list", "pods pods/log"), rule("get", "configmaps", "", "one")),
    )
    await made(api, f"{namespaced}/rolebindings", binding("reader", "Role", "robot"))
    await made(api, MAPS, {"metadata": {"name": "one"}})
    await made(api, MAPS, {"metadata": {"name": "two"}})
    api.token = robot
    assert (await api.get(PODS))[0] == 200
    assert (await api.get("/api/v1/namespaces/kube-system/pods"))[0] == 403
    assert (await api.get("/api/v1/pods"))[0] == 403
    assert (await api.get(f"{PODS}?watch=true"))[0] == 403
    assert (await api.get(f"{MAPS}/one"))[0] == 200
    assert (await api.get(f"{MAPS}/two"))[0] == 403
    assert (await api.get(MAPS))[0] == 403
    assert (await api.post(PODS, {"metadata": {"name": "a"}}))[0] == 403
    assert (await api.get("/apis"))[0] == 200
    assert (await api.get("/metrics"))[0] == 403
    api.token = admin
    assert (await api.delete(f"{namespaced}/rolebindings/reader-robot"))[0] == 200
    api.token = robot
    assert (await api.get(PODS))[0] == 403


async def test_reviews(api: Any) -> None:
    admin = api.token
    token = await account_token(api, "robot")
    await made(api, f"{RBAC}/clusterroles", role("lister", rule("list", "nodes"), rule("*", "*/status", "apps")))
    await made(api, f"{RBAC}/clusterrolebindings", binding("lister", "ClusterRole", "robot"))
    reviews = "/apis/authorization.k8s.io/v1"

    async def may(user: str, **asked: str) -> bool:
        spec = {"user": user, "resourceAttributes": asked}
        answer = await made(api, f"{reviews}/subjectaccessreviews", {"spec": spec})
        return bool(answer["status"]["allowed"])

    robot = "system:serviceaccount:default:robot"
    assert await may(robot, verb="list", resource="nodes")
    assert not await may(robot, verb="get", resource="nodes")
    assert await may(robot, verb="patch", group="apps", resource="deployments", subresource="status", namespace="a")
    assert not await may(robot, verb="patch", group="apps", resource="deployments", namespace="a")
    assert not await may("nobody", verb="list", resource="nodes")
    api.token = token
    answer = await made(api, f"{reviews}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert {"verbs": ["list"], "apiGroups": [""], "resources": ["nodes"]} in answer["status"]["resourceRules"]
    asked = {"spec": {"resourceAttributes": {"verb": "list", "resource": "nodes"}}}
    answer = await made(api, f"{reviews}/selfsubjectaccessreviews", asked)
    assert answer["status"]["allowed"]
    assert answer["status"]["reason"] == 'RBAC: allowed by ClusterRoleBinding "lister-robot" of ClusterRole "lister"'
    assert (await api.post(f"{reviews}/subjectaccessreviews", asked))[0] == 403
    api.token = admin


async def test_nobody_gives_what_they_have_not(api: Any) -> None:
    token = await account_token(api, "maker")
    rights = rule("create get list", "roles rolebindings clusterroles clusterrolebindings", "rbac.authorization.k8s.io")
    await made(api, f"{RBAC}/clusterroles", role("maker", rights, rule("get", "pods")))
    await made(api, f"{RBAC}/clusterrolebindings", binding("maker", "ClusterRole", "maker"))
    api.token = token
    await made(api, f"{RBAC}/namespaces/default/roles", role("small", rule("get", "pods")))
    code, answer = await api.post(f"{RBAC}/namespaces/default/roles", role("large", rule("get list", "secrets")))
    assert code == 403
    assert "attempting to grant RBAC permissions not currently held" in answer["message"]
    await made(api, f"{RBAC}/namespaces/default/rolebindings", binding("small", "Role", "maker"))
    code, _ = await api.post(f"{RBAC}/clusterrolebindings", binding("cluster-admin", "ClusterRole", "maker"))
    assert code == 403


async def test_aggregated_roles(api: Any) -> None:
    token = await account_token(api, "viewer")
    await made(api, f"{RBAC}/clusterrolebindings", binding("view", "ClusterRole", "viewer"))
    admin, api.token = api.token, token
    assert (await api.get(PODS))[0] == 200
    assert (await api.get("/api/v1/namespaces/default/secrets"))[0] == 403
    assert (await api.get("/apis/coordination.k8s.io/v1/leases"))[0] == 403
    api.token = admin
    more = role("leases", rule("list", "leases", "coordination.k8s.io"))
    more["metadata"]["labels"] = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await made(api, f"{RBAC}/clusterroles", more)
    api.token = token
    assert (await api.get("/apis/coordination.k8s.io/v1/leases"))[0] == 200


async def test_a_token_for_somebody_else_is_no_key_here(api: Any) -> None:
    token = await account_token(api, "robot", audiences=["istio-ca"])
    asked = {"spec": {"token": token, "audiences": ["istio-ca", "other"]}}
    answer = await made(api, "/apis/authentication.k8s.io/v1/tokenreviews", asked)
    assert answer["status"]["audiences"] == ["istio-ca"]
    answer = await made(api, "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
    assert answer["status"]["authenticated"] is False
    api.token = token
    assert (await api.get(PODS))[0] == 401


async def test_acting_as_another(api: Any) -> None:
    headers = {"Authorization": f"Bearer {api.token}", "Impersonate-User": "jane", "Impersonate-Group": "readers"}
    async with api.session.post(
        f"{api.url}/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}, headers=headers
    ) as answer:
        user = (await answer.json())["status"]["userInfo"]
    assert user == {"username": "jane", "groups": ["readers", "system:authenticated"]}
    headers["Authorization"] = f"Bearer {await account_token(api, 'robot')}"
    async with api.session.get(api.url + PODS, headers=headers) as answer:
        assert answer.status == 403
        assert 'cannot impersonate resource "users"' in (await answer.json())["message"]


async def test_a_certificate_on_request(api: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, "jane"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "readers")]
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {
        "request": base64.b64encode(asked.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "username": "somebody else",
    }
    request = await made(api, path, {"metadata": {"name": "jane"}, "spec": spec})
    assert request["spec"]["username"] == "kaiki-admin"
    condition = {"type": "Approved", "status": "True", "reason": "Known"}
    request["status"] = {"conditions": [condition], "certificate": "forged"}
    code, request = await api.put(f"{path}/jane/approval", request)
    assert code == 200
    (api.home / "jane.crt").write_bytes(base64.b64decode(request["status"]["certificate"]))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (api.home / "jane.key").write_bytes(key.private_bytes(*form))
    context = ssl.create_default_context(cafile=str(api.home / "pki" / "ca.crt"))
    context.load_cert_chain(api.home / "jane.crt", api.home / "jane.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.get(api.url + PODS) as answer:
            assert answer.status == 403
            assert 'User "jane"' in (await answer.json())["message"]
        subject = {"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}
        bound = binding("view", "ClusterRole", "readers") | {"subjects": [subject]}
        await made(api, f"{RBAC}/clusterrolebindings", bound)
        async with session.get(api.url + PODS) as answer:
            assert answer.status == 200
