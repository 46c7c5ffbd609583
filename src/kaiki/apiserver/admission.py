"""Calling the admission webhooks users have configured, as Kubernetes calls them.

Mutating ones one after the other, each seeing what the one before made; validating ones all at once. A Service is
resolved here to the address of a ready pod, because this server has no cluster DNS and no service proxy in front of it.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import ApiError, bad_request, internal
from kaiki.apiserver.patch import PatchError, json_patch
from kaiki.apiserver.registry import Registry
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.selectors import matches_label_selector
from kaiki.apiserver.store import Event, Store

if TYPE_CHECKING:
    import aiohttp

GROUP = "admissionregistration.k8s.io"
MUTATING = f"{GROUP}/mutatingwebhookconfigurations"
VALIDATING = f"{GROUP}/validatingwebhookconfigurations"
Object = dict[str, Any]


class WebhookFailure(Exception):
    """A webhook that could not be reached or did not answer as it should; its `failurePolicy` decides."""


@dataclass(frozen=True)
class _Webhook:
    """One webhook of one configuration."""

    configuration: str
    settings: Object

    @property
    def name(self) -> str:
        return str(self.settings["name"])


class WebhookAdmission:
    """Finds the webhooks that a request concerns and calls them."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._webhooks: dict[str, list[_Webhook]] = {}
        store.listeners.append(self._observe)

    async def close(self) -> None:
        """Close the connections to webhooks."""
        for session in self._sessions.values():
            await session.close()
        # aiohttp closes TLS transports one turn later.
        await asyncio.sleep(0)

    def _observe(self, collection: str, event: Event) -> None:
        if collection in (MUTATING, VALIDATING):
            self._webhooks.clear()

    def _configured(self, collection: str) -> list[_Webhook]:
        found = self._webhooks.get(collection)
        if found is None:
            found = [
                _Webhook(record.name, settings)
                for record in self._store.list(collection)
                for settings in record.load().get("webhooks") or ()
            ]
            self._webhooks[collection] = found
        return found

    async def mutate(
        self, request: ApiRequest, operation: str, new: Object | None, old: Object | None
    ) -> Object | None:
        """The object as the mutating webhooks want it; `new` itself when none changed it. ApiError when one refuses."""
        value = new
        made: list[tuple[_Webhook, Object | None]] = []
        for webhook in self._matching(MUTATING, request, operation, new, old):
            value = await self._change(webhook, request, operation, value, old)
            made.append((webhook, value))
        for webhook, then in made:
            # Others have changed what this one has seen; it may look once more.
            if webhook.settings.get("reinvocationPolicy") == "IfNeeded" and then != value:
                value = await self._change(webhook, request, operation, value, old)
        return value

    async def _change(
        self, webhook: _Webhook, request: ApiRequest, operation: str, value: Object | None, old: Object | None
    ) -> Object | None:
        answer = await self._call(webhook, request, operation, value, old)
        if answer and answer.get("patch") and value is not None:
            return _patched(webhook, value, answer["patch"])
        return value

    async def validate(self, request: ApiRequest, operation: str, new: Object | None, old: Object | None) -> None:
        """ApiError when a validating webhook refuses."""
        matching = list(self._matching(VALIDATING, request, operation, new, old))
        if matching:
            await asyncio.gather(*(self._call(each, request, operation, new, old) for each in matching))

    def _matching(
        self, collection: str, request: ApiRequest, operation: str, new: Object | None, old: Object | None
    ) -> Iterator[_Webhook]:
        if request.kind.group == GROUP:
            return
        for webhook in self._configured(collection):
            settings = webhook.settings
            if (
                any(self._rule_matches(rule, request, operation, settings) for rule in settings.get("rules") or ())
                and self._namespace_matches(settings.get("namespaceSelector"), request, new or old)
                and _object_matches(settings.get("objectSelector"), new, old)
            ):
                yield webhook

    def _rule_matches(self, rule: Object, request: ApiRequest, operation: str, settings: Object) -> bool:
        kind = request.kind
        resource = f"{kind.plural}/{request.subresource}" if request.subresource else kind.plural
        names = rule.get("resources") or ()
        wide = "*/*" in names or (not request.subresource and "*" in names)
        named = resource in names or f"{kind.plural}/*" in names
        if request.subresource:
            named = named or f"*/{request.subresource}" in names
        scope = {"Namespaced": kind.namespaced, "Cluster": not kind.namespaced}.get(rule.get("scope") or "*", True)
        versions = rule.get("apiVersions") or ()
        # Equivalent: a rule for another version of the same kind counts as well.
        version = (
            kind.version in versions
            or "*" in versions
            or (settings.get("matchPolicy") != "Exact" and kind.custom and self._serves(kind, versions))
        )
        groups, operations = rule.get("apiGroups") or (), rule.get("operations") or ()
        return (
            (wide or named) and scope and version
            and (kind.group in groups or "*" in groups) and (operation in operations or "*" in operations)
        )  # fmt: skip

    def _serves(self, kind: ResourceType, versions: Any) -> bool:
        return any(self._registry.find(kind.group, version, kind.plural) for version in versions)

    def _namespace_matches(self, selector: Object | None, request: ApiRequest, value: Object | None) -> bool:
        if not selector:
            return True
        if request.kind.qualified_name == "namespaces":
            return matches_label_selector(selector, ((value or {}).get("metadata") or {}).get("labels") or {})
        if not request.kind.namespaced:
            return True
        record = self._store.get("/namespaces", "", request.namespace)
        return matches_label_selector(selector, record.labels if record else {})

    async def _call(
        self, webhook: _Webhook, request: ApiRequest, operation: str, new: Object | None, old: Object | None
    ) -> Object | None:
        """The webhook's answer; None when it failed and may be ignored. ApiError when it refuses."""
        review = _review(request, operation, new, old)
        try:
            if not _conditions_hold(webhook, review["request"]):
                return None
            if request.dry_run and webhook.settings.get("sideEffects") not in ("None", "NoneOnDryRun"):
                raise bad_request(f'admission webhook "{webhook.name}" does not support dry run')
            answer = await self._send(webhook, review)
        except WebhookFailure as failure:
            if webhook.settings.get("failurePolicy") == "Ignore":
                return None
            raise internal(f'failed calling webhook "{webhook.name}": {failure}') from failure
        request.warnings += answer.get("warnings") or []
        if not answer.get("allowed"):
            raise _refusal(webhook, answer)
        return answer

    async def _send(self, webhook: _Webhook, review: Object) -> Object:
        import aiohttp

        client = webhook.settings.get("clientConfig") or {}
        url, host = self._address(client)
        seconds = webhook.settings.get("timeoutSeconds") or 10
        try:
            session = self._session(client.get("caBundle") or "")
            async with session.post(
                f"{url}?timeout={seconds}s",
                data=orjson.dumps(review),
                headers={"Content-Type": "application/json", "Host": host},
                server_hostname=host,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                body = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = "context deadline exceeded" if isinstance(error, TimeoutError) else error or type(error).__name__
            raise WebhookFailure(
                f'failed to call webhook: Post "{_said_url(client)}?timeout={seconds}s": {why}'
            ) from error
        return _read_answer(status, body, review)

    def _address(self, client: Object) -> tuple[str, str]:
        """The URL to call, and the name its certificate must carry."""
        service = client.get("service")
        if not service:
            url = str(client.get("url") or "")
            host = url.partition("://")[2].partition("/")[0]
            return url, host.rpartition(":")[0] or host
        namespace, name = service["namespace"], service["name"]
        address, port = self._resolve(namespace, name, service.get("port") or 443)
        path = str(service.get("path") or "/").lstrip("/")
        return f"https://{address}:{port}/{path}", f"{name}.{namespace}.svc"

    def _resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """The address and port of a ready endpoint of a service."""
        service = self._store.get("/services", namespace, name)
        if service is None:
            raise WebhookFailure(f'service "{name}" not found in namespace "{namespace}"')
        listed = service.load()["spec"].get("ports") or ()
        port_name = next((each.get("name") or "" for each in listed if each["port"] == port), None)
        if port_name is None:
            raise WebhookFailure(f'service "{namespace}/{name}" has no port {port}')
        found = list(self._ready_endpoints(namespace, name, port_name))
        if not found:
            raise WebhookFailure(f'no endpoints available for service "{name}"')
        return random.choice(found)

    def _ready_endpoints(self, namespace: str, name: str, port_name: str) -> Iterator[tuple[str, int]]:
        for record in self._store.list("discovery.k8s.io/endpointslices", namespace):
            if record.labels.get("kubernetes.io/service-name") != name:
                continue
            value = record.load()
            number = next(
                (each["port"] for each in value.get("ports") or () if (each.get("name") or "") == port_name), None
            )
            for endpoint in value.get("endpoints") or ():
                if number and (endpoint.get("conditions") or {}).get("ready", True):
                    yield endpoint["addresses"][0], int(number)

    def _session(self, bundle: str) -> aiohttp.ClientSession:
        """The connections that trust this CA bundle (base64 PEM; "" for the system's)."""
        import aiohttp

        session = self._sessions.get(bundle)
        if session is None:
            authority = base64.b64decode(bundle).decode() if bundle else None
            context = ssl.create_default_context(cadata=authority)
            connector = aiohttp.TCPConnector(ssl=context, keepalive_timeout=30)
            session = self._sessions[bundle] = aiohttp.ClientSession(connector=connector)
        return session


def _said_url(client: Object) -> str:
    """The URL as Kubernetes names it in messages: that of the service, not of the pod behind it."""
    service = client.get("service")
    if not service:
        return str(client.get("url") or "")
    path = str(service.get("path") or "/").lstrip("/")
    return f"https://{service['name']}.{service['namespace']}.svc:{service.get('port') or 443}/{path}"


def _object_matches(selector: Object | None, new: Object | None, old: Object | None) -> bool:
    if not selector:
        return True
    present = [value for value in (new, old) if value is not None]
    return any(matches_label_selector(selector, value["metadata"].get("labels") or {}) for value in present)


def _conditions_hold(webhook: _Webhook, asked: Object) -> bool:
    """Whether the webhook's `matchConditions` all hold. WebhookFailure when one of them cannot be told."""
    conditions = webhook.settings.get("matchConditions") or ()
    if not conditions:
        return True
    from kaiki.apiserver.expressions import ExpressionError, compiled

    values = {"request": asked, "object": asked["object"], "oldObject": asked["oldObject"]}
    failures = []
    for condition in conditions:
        try:
            if compiled(str(condition.get("expression"))).evaluate(values) is not True:
                return False
        except ExpressionError as error:
            failures.append(f'match condition "{condition.get("name")}": {error}')
    if failures:
        raise WebhookFailure("; ".join(failures))
    return True


def _review(request: ApiRequest, operation: str, new: Object | None, old: Object | None) -> Object:
    kind = request.kind
    about = {"group": kind.group, "version": kind.version}
    resource, identity = {**about, "resource": kind.plural}, {**about, "kind": kind.kind}
    asked: Object = {
        "uid": str(uuid.uuid4()),
        "kind": identity,
        "resource": resource,
        "requestKind": identity,
        "requestResource": resource,
        "name": request.name,
        "operation": operation,
        "userInfo": request.user.describe(),
        "object": new,
        "oldObject": old,
        "dryRun": request.dry_run,
        "options": {"kind": f"{operation.capitalize()}Options", "apiVersion": "meta.k8s.io/v1"},
    }
    asked |= {"namespace": request.namespace} if request.namespace else {}
    asked |= {"subResource": request.subresource} if request.subresource else {}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked}


def _read_answer(status: int, body: bytes, review: Object) -> Object:
    if status != 200:
        raise WebhookFailure(f"the server answered with HTTP {status}: {body[:200].decode(errors='replace')}")
    try:
        answer = orjson.loads(body)["response"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise WebhookFailure(f"the answer is not an AdmissionReview: {error}") from error
    if not isinstance(answer, dict) or answer.get("uid") != review["request"]["uid"]:
        raise WebhookFailure("the answer's uid is not the request's")
    return answer


def _refusal(webhook: _Webhook, answer: Object) -> ApiError:
    status = answer.get("status") or {}
    why = status.get("message") or status.get("reason")
    message = f'admission webhook "{webhook.name}" denied the request' + (f": {why}" if why else " without explanation")
    return ApiError(status.get("code") or 400, status.get("reason") or "BadRequest", message, status.get("details"))


def _patched(webhook: _Webhook, value: Object, patch: str) -> Object:
    try:
        patched: Object = json_patch(value, orjson.loads(base64.b64decode(patch)))
    except (PatchError, ValueError) as error:
        raise internal(f'admission webhook "{webhook.name}" answered a patch that does not apply: {error}') from error
    return patched
