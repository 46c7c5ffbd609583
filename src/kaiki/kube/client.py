"""Requests to the Kubernetes API: plain dicts in, plain dicts out, errors that name the object."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, Self

import orjson

from kaiki.kube.config import KubeConfig, load_config
from kaiki.kube.errors import NotFound, error_from_status
from kaiki.kube.resource import PODS, SERVICE_ACCOUNTS, TOKEN_REVIEWS, Object, ResourceType, find_type, resource_for
from kaiki.kube.transport import REQUEST_TIMEOUT_SECONDS, Request, Transport, split_lines

Objects = list[Object]
PatchKind = Literal["merge", "strategic", "json"]
PropagationPolicy = Literal["Background", "Foreground", "Orphan"]

PATCH_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
PAGE_LIMIT = 500
WATCH_GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A service account token and when it ends (RFC 3339)."""

    token: str
    expiration_timestamp: str


class KubeClient:
    """One API server, one identity, one connection pool. An async context manager.

    Every method raises a KubeError of `kaiki.kube.errors`; Unavailable covers both 5xx and no connection.
    Namespaces are ignored for cluster types, so callers need not tell them apart. `answer_seconds` is how long an
    answer may take, other than that of a watch or of a log that is followed.
    """

    def __init__(
        self,
        config: KubeConfig | None = None,
        *,
        user_agent: str = "kaiki",
        answer_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> None:
        self.config = config or load_config()
        self._answer_seconds = answer_seconds
        self._transport = Transport(self.config, user_agent)
        self._discovered: dict[tuple[str, str], ResourceType] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; watches under way end with Unavailable."""
        await self._transport.close()

    # Reading

    async def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Object:
        """One object. NotFound when there is none."""
        return await self.request(
            "GET", resource.path(namespace, name), call=f"get {resource.describe(namespace, name)}"
        )

    async def find(self, resource: ResourceType, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None when there is none."""
        try:
            return await self.get(resource, name, namespace)
        except NotFound:
            return None

    async def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Objects:
        """All objects of a type, in one namespace or in all."""
        objects, _ = await self.list_at(
            resource, namespace, label_selector=label_selector, field_selector=field_selector
        )
        return objects

    async def list_at(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        managed_fields: bool = True,
    ) -> tuple[Objects, str]:
        """All objects, and the resource version a watch can go on from. Read in pages; Gone when they expire.

        Without `managed_fields` the embedded server leaves out who owns which field; a cluster sends it all the same.
        """
        params = _selectors(label_selector, field_selector) | {"limit": str(PAGE_LIMIT)} | _owners(managed_fields)
        objects: Objects = []
        while True:
            page = await self.request(
                "GET", resource.path(namespace), params=params, call=f"list {resource.describe(namespace)}"
            )
            for item in page.get("items") or []:
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                objects.append(item)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return objects, str(metadata.get("resourceVersion") or "")
            params["continue"] = str(metadata["continue"])

    async def watch(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: int = 290,
        managed_fields: bool = True,
    ) -> AsyncGenerator[Object]:
        """Watch events {"type", "object"} after a resource version, bookmarks included, until the server ends it.

        An ERROR event is raised as its KubeError (Gone for an expired version); a broken stream as Unavailable.
        """
        params = _selectors(label_selector, field_selector) | _owners(managed_fields)
        params |= {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
        }
        call = f"watch {resource.describe(namespace)}"
        path = resource.path(namespace)
        request = Request("GET", path, call, params, timeout_seconds=timeout_seconds + WATCH_GRACE_SECONDS)
        async with aclosing(split_lines(self._transport.stream(request))) as lines:
            async for line in lines:
                event: Object = orjson.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise error_from_status(call, int(status.get("code") or 500), status)
                yield event

    # Writing

    async def create(
        self, obj: Object, *, namespace: str | None = None, resource: ResourceType | None = None
    ) -> Object:
        """Creates an object; AlreadyExists when the name is taken."""
        resource, namespace, name = self._locate(obj, resource, namespace)
        return await self.request(
            "POST", resource.path(namespace), body=obj, call=f"create {resource.describe(namespace, name)}"
        )

    async def create_subresource(
        self, resource: ResourceType, name: str, namespace: str | None, subresource: str, body: Object
    ) -> Object:
        """POSTs to a subresource: `binding`, `eviction`, `token`."""
        return await self.request(
            "POST",
            resource.path(namespace, name, subresource),
            body=body,
            call=f"create {subresource} of {resource.describe(namespace, name)}",
        )

    async def update(self, obj: Object, *, resource: ResourceType | None = None) -> Object:
        """Replaces an object; Conflict when its resource version is not the current one."""
        return await self._put(obj, resource, None)

    async def update_status(self, obj: Object, *, resource: ResourceType | None = None) -> Object:
        """Replaces the status only."""
        return await self._put(obj, resource, "status")

    async def update_subresource(
        self, obj: Object, subresource: str, *, resource: ResourceType | None = None
    ) -> Object:
        """Replaces through another subresource: `finalize` of namespaces, `scale`."""
        return await self._put(obj, resource, subresource)

    async def _put(self, obj: Object, resource: ResourceType | None, subresource: str | None) -> Object:
        resource, namespace, name = self._locate(obj, resource, None)
        return await self.request(
            "PUT",
            resource.path(namespace, name, subresource),
            body=obj,
            call=f"update {subresource + ' of ' if subresource else ''}{resource.describe(namespace, name)}",
        )

    async def patch(
        self,
        resource: ResourceType,
        name: str,
        namespace: str | None,
        patch: Any,
        kind: PatchKind = "merge",
        *,
        subresource: str | None = None,
        field_manager: str | None = None,
    ) -> Object:
        """Changes a part of an object. `patch` is a dict (merge, strategic) or a list of operations (json)."""
        return await self.request(
            "PATCH",
            resource.path(namespace, name, subresource),
            body=patch,
            params={"fieldManager": field_manager} if field_manager else None,
            content_type=PATCH_TYPES[kind],
            call=f"patch {resource.describe(namespace, name)}",
        )

    async def apply(
        self,
        obj: Object,
        field_manager: str = "kaiki",
        force: bool = True,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """Server-side apply: the object is made to have these fields; created when missing.

        Conflict when another manager owns a field and `force` is off. Unknown kinds are discovered first.
        """
        resource = await self.type_of(obj)
        resource, namespace, name = self._locate(obj, resource, namespace)
        return await self.request(
            "PATCH",
            resource.path(namespace, name, subresource),
            body=obj,
            params={"fieldManager": field_manager, "force": "true" if force else "false"},
            content_type="application/apply-patch+yaml",
            call=f"apply {resource.describe(namespace, name)}",
        )

    async def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str | None = None,
        *,
        propagation: PropagationPolicy | None = None,
        grace_period_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Deletes an object; with `uid` or `resource_version` only if it is still that one (else Conflict)."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation is not None:
            body["propagationPolicy"] = propagation
        if grace_period_seconds is not None:
            body["gracePeriodSeconds"] = grace_period_seconds
        if preconditions := _present(uid=uid, resourceVersion=resource_version):
            body["preconditions"] = preconditions
        return await self.request(
            "DELETE",
            resource.path(namespace, name),
            body=body,
            call=f"delete {resource.describe(namespace, name)}",
        )

    async def delete_object(self, obj: Object) -> Object:
        """Deletes this very object: Conflict when another has taken its name meanwhile."""
        resource, namespace, name = self._locate(obj, None, None)
        return await self.delete(resource, name, namespace, uid=obj["metadata"].get("uid"))

    # Tokens

    async def request_token(
        self,
        namespace: str,
        service_account: str,
        audiences: tuple[str, ...] = (),
        expiration_seconds: int = 3600,
        bound_pod: tuple[str, str] | None = None,
    ) -> IssuedToken:
        """A token of a service account; `bound_pod` is the (name, uid) of the pod it lives and dies with."""
        spec: Object = {"audiences": [*audiences], "expirationSeconds": expiration_seconds}
        if bound_pod is not None:
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": bound_pod[0], "uid": bound_pod[1]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.create_subresource(SERVICE_ACCOUNTS, service_account, namespace, "token", body)
        status = answer["status"]
        return IssuedToken(str(status["token"]), str(status.get("expirationTimestamp") or ""))

    async def review_token(self, token: str, audiences: tuple[str, ...] = ()) -> Object:
        """What the API server says about a token: {"authenticated", "user": {"username", "extra", …}, "error"}."""
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token} | ({"audiences": [*audiences]} if audiences else {}),
        }
        answer = await self.request("POST", TOKEN_REVIEWS.path(), body=body, call="review a token")
        return dict(answer.get("status") or {})

    # Logs

    async def logs(
        self,
        name: str,
        namespace: str,
        container: str | None = None,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        previous: bool = False,
        timestamps: bool = False,
        limit_bytes: int | None = None,
    ) -> AsyncGenerator[bytes]:
        """A container's output in pieces as they come; with `follow` until the container ends."""
        params = _present(
            container=container,
            tailLines=tail_lines,
            sinceSeconds=since_seconds,
            limitBytes=limit_bytes,
            follow="true" if follow else None,
            previous="true" if previous else None,
            timestamps="true" if timestamps else None,
        )
        request = Request(
            "GET",
            PODS.path(namespace, name, "log"),
            f"read logs of {PODS.describe(namespace, name)}",
            params,
            timeout_seconds=None if follow else self._answer_seconds,
        )
        async with aclosing(self._transport.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def read_text(self, path: str, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> str:
        """What a path of the API answers, as text: `/metrics`."""
        request = Request("GET", path, f"read {path}", timeout_seconds=timeout_seconds)
        async with aclosing(self._transport.stream(request)) as pieces:
            return b"".join([piece async for piece in pieces]).decode()

    # Types

    async def type_of(self, obj: Object) -> ResourceType:
        """The type of an object, asked from the server when Kaiki has no constant for it."""
        return await self.discover(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))

    async def discover(self, api_version: str, kind: str) -> ResourceType:
        """The type behind `apiVersion` and `kind`. NotFound when the server does not serve it."""
        if known := find_type(api_version, kind) or self._discovered.get((api_version, kind)):
            return known
        for found in await self.list_types(api_version):
            self._discovered[api_version, found.kind] = found
        try:
            return self._discovered[api_version, kind]
        except KeyError:
            raise NotFound(f"the server has no kind {kind!r} in {api_version!r}; is its CRD installed?") from None

    async def list_types(self, api_version: str) -> tuple[ResourceType, ...]:
        """The types of one API group version, subresources left out."""
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        answer = await self.request("GET", path, call=f"discover {api_version}")
        return tuple(
            ResourceType(group, version, item["name"], item["kind"], bool(item["namespaced"]))
            for item in answer.get("resources") or []
            if "/" not in item["name"]
        )

    # Any request

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        call: str = "",
        timeout_seconds: float | None = None,
    ) -> Object:
        """Any JSON request to a path of the API. `call` is how error messages name it."""
        seconds = self._answer_seconds if timeout_seconds is None else timeout_seconds
        request = Request(method, path, call or f"{method} {path}", params, body, content_type, seconds)
        return await self._transport.answer(request)

    def _locate(
        self, obj: Object, resource: ResourceType | None, namespace: str | None
    ) -> tuple[ResourceType, str | None, str]:
        resource = resource or self._discovered.get((obj.get("apiVersion", ""), obj.get("kind", "")))
        resource = resource or resource_for(obj)
        metadata = obj.get("metadata") or {}
        if resource.namespaced:
            namespace = metadata.get("namespace") or namespace or self.config.namespace
        return resource, namespace, str(metadata.get("name") or metadata.get("generateName") or "")


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    return _present(labelSelector=label_selector, fieldSelector=field_selector)


def _owners(managed_fields: bool) -> dict[str, str]:
    """A query that the embedded API server knows, and others ignore."""
    return {} if managed_fields else {"omitManagedFields": "true"}


def _present(**values: object) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
