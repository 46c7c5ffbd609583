"""Who the user is to the Kubernetes API, and what they may do there."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from kaiki.console.access import Access
from kaiki.console.answers import answer_json
from kaiki.console.bodies import read_body
from kaiki.console.editing import mesh_kind
from kaiki.console.errors import BadRequest, ConsoleError, KubernetesUnavailable, ReadOnly
from kaiki.console.identity import Identities, Identity
from kaiki.console.oidc.errors import LoginRefused
from kaiki.console.oidc.sessions import Sessions, person_of
from kaiki.console.rights import VERBS, Place, Rights
from kaiki.kube.errors import KubeError

logger = logging.getLogger(__name__)

MOST_OBJECTS = 20
Object = dict[str, Any]


class PeopleHandlers:
    """The operations on the user. Without a Kubernetes API (`connected` off) nobody has an identity."""

    def __init__(
        self, identities: Identities, access: Access, sessions: Sessions | None = None, *, connected: bool
    ) -> None:
        self._identities = identities
        self._access = access
        self._sessions = sessions
        self._connected = connected
        self._rights = Rights(identities)

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [
            web.get("/api/me", self.me),
            web.post("/api/identity", self.identify),
            web.delete("/api/identity", self.forget),
            web.post("/api/rights", self.rights),
            web.post("/api/logout", self.logout),
        ]

    async def me(self, request: web.Request) -> web.Response:
        """Who the user is to the Kubernetes API; while `user` is null, nothing can be changed."""
        return answer_json(self._describe(await self._name(self._identities.identity_of(request))))

    async def identify(self, request: web.Request) -> web.Response:
        """Take the user's Kubernetes token, once the API server has said whose it is."""
        token = str((await read_body(request)).get("token") or "").strip()
        self._identities.require_changeable()
        if not self._connected:
            raise ReadOnly("No Kubernetes API is used, so there is nothing to change.")
        answer = answer_json(self._describe(await self._identities.name_of(Identity(token))))
        self._identities.keep(request, answer, token)
        return answer

    async def forget(self, request: web.Request) -> web.Response:
        """Only look from now on."""
        answer = answer_json(self._describe(None))
        self._identities.forget(answer)
        return answer

    async def rights(self, request: web.Request) -> web.Response:
        """What the user may do with objects, those that are there and those (without a name) that are to be."""
        objects = (await read_body(request)).get("objects")
        if not isinstance(objects, list) or not 0 < len(objects) <= MOST_OBJECTS:
            raise BadRequest(f"objects must be a list of 1 to {MOST_OBJECTS} objects")
        places = [_read_place(item) for item in objects]
        identity = self._identities.identity_of(request)
        user, problem = await self._name(identity), ""
        allowed: list[dict[str, bool]] = [dict.fromkeys(VERBS, False) for _ in places]
        if identity is not None and user is not None:
            try:
                allowed = await self._rights.of(identity, places)
            except KubeError as error:
                allowed = [dict.fromkeys(VERBS, True) for _ in places]
                problem = str(error)
        items = [_describe(place) | one for place, one in zip(places, allowed, strict=True)]
        return answer_json(self._describe(user) | {"items": items, "problem": problem})

    async def logout(self, request: web.Request) -> web.Response:
        """End the session, and tell where to go: to the provider's own way out, where it has one."""
        location, person = "/login", person_of(request)
        if self._sessions is not None and person is not None:
            back = self._sessions.own_address(request) + "/login"
            try:
                location = await self._sessions.provider.logout_url(person.id_token, back) or location
            except LoginRefused as error:
                logger.warning("the provider was not told of a logout: %s", error)
        answer = answer_json({"location": location})
        self._access.close_session(answer)
        self._identities.forget(answer)
        if self._sessions is not None:
            self._sessions.end(answer)
        return answer

    async def _name(self, identity: Identity | None) -> str | None:
        try:
            return await self._identities.name_of(identity) if identity is not None else None
        except KubernetesUnavailable:
            raise  # Not known now: that is not the same as nobody.
        except (KubeError, ConsoleError):
            return None

    def _describe(self, user: str | None) -> Object:
        return {"user": user, "canChange": user is not None, "readOnly": self._identities.read_only}


def _read_place(item: Any) -> Place:
    if not isinstance(item, dict):
        raise BadRequest("objects must be JSON objects with apiVersion, kind, namespace and name")
    texts = {key: item.get(key) or "" for key in ("apiVersion", "kind", "namespace", "name")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise BadRequest("apiVersion, kind, namespace and name must be texts")
    kind = mesh_kind(texts["apiVersion"], texts["kind"])
    return Place(kind, (texts["namespace"] or "default") if kind.namespaced else "", texts["name"])


def _describe(place: Place) -> Object:
    kind = place.kind
    described = {"apiVersion": kind.api_version, "kind": kind.kind, "namespace": place.namespace, "name": place.name}
    return described | {"resource": kind.plural, "group": kind.group}
