"""Who is asking: bearer tokens, and service account tokens (JWT, ES256) as Kubernetes makes and checks them."""

from __future__ import annotations

import base64
import hmac
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kaiki.apiserver import credentials
from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import FieldErrors, invalid_value, not_found, unauthorized
from kaiki.apiserver.requests import ApiRequest, User
from kaiki.apiserver.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
PODS, SERVICE_ACCOUNTS, SECRETS = "/pods", "/serviceaccounts", "/secrets"
MINIMUM_SECONDS, MAXIMUM_SECONDS, USUAL_SECONDS = 600, 365 * 24 * 3600, 3600
Object = dict[str, Any]


@dataclass(frozen=True)
class _Verified:
    """Claims whose signature has been checked, kept so that it is checked once per token."""

    claims: Object


class TokenAuthority:
    """Makes and checks tokens with the keys in `<home>/pki`."""

    def __init__(self, home: Path, store: Store) -> None:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._store = store
        self._key: Any = load_pem_private_key((credentials.pki_folder(home) / "service-account.key").read_bytes(), None)
        self._static = {
            credentials.admin_token(home): User("kaiki-admin", ("system:masters", "system:authenticated")),
            credentials.node_token(home): User(
                # The node runs Kubernetes's controllers as well, and they need every right.
                "system:node:kaiki",
                ("system:nodes", "system:masters", "system:authenticated"),
            ),
        }
        self._verified: dict[str, _Verified] = {}

    def authenticate(self, authorization: str) -> User:
        """The user of an `Authorization` header; ApiError 401 otherwise."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized()
        for known, user in self._static.items():
            if hmac.compare_digest(known.encode(), token.strip().encode()):
                return user
        user, _ = self.review(token.strip(), (ISSUER,))
        return user

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """The user of a service account token, and which of the audiences it is for; ApiError 401 when it is not
        good.
        """
        claims = self._claims(token)
        now = time.time()
        if claims.get("iss") != ISSUER or not claims.get("nbf", 0) - 5 <= now < claims.get("exp", 0):
            raise unauthorized("service account token has expired or is not ours")
        matching = [each for each in audiences if each in claims.get("aud", ())]
        if not matching:
            raise unauthorized(
                f"token audiences {claims.get('aud')} is invalid for the target audiences {list(audiences)}"
            )
        return self._user(claims["kubernetes.io"], claims.get("jti", "")), matching

    def _user(self, said: Object, identifier: str) -> User:
        namespace, account = said["namespace"], said["serviceaccount"]
        self._check_alive(SERVICE_ACCOUNTS, namespace, account)
        extra = {"authentication.kubernetes.io/credential-id": [f"JTI={identifier}"]}
        if pod := said.get("pod"):
            self._check_alive(PODS, namespace, pod)
            extra["authentication.kubernetes.io/pod-name"] = [pod["name"]]
            extra["authentication.kubernetes.io/pod-uid"] = [pod["uid"]]
        if secret := said.get("secret"):
            self._check_alive(SECRETS, namespace, secret)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(f"system:serviceaccount:{namespace}:{account['name']}", groups, account["uid"], extra)

    def _check_alive(self, collection: str, namespace: str, reference: Object) -> None:
        record = self._store.get(collection, namespace, reference["name"])
        if record is None or record.load()["metadata"]["uid"] != reference["uid"]:
            raise unauthorized(f"{collection[1:]} {namespace}/{reference['name']} of the token no longer exists")

    def _claims(self, token: str) -> Object:
        held = self._verified.get(token)
        if held is None:
            if len(self._verified) > 512:
                self._verified.clear()
            held = self._verified[token] = _Verified(self._verify(token))
        return held.claims

    def _verify(self, token: str) -> Object:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        try:
            signed, _, signature = token.rpartition(".")
            raw = _decode(signature)
            header, claims = (orjson.loads(_decode(part)) for part in signed.split("."))
            if header.get("alg") != "ES256" or len(raw) != 64:
                raise unauthorized()
            encoded = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            self._key.public_key().verify(encoded, signed.encode(), ec.ECDSA(hashes.SHA256()))
        except (ValueError, TypeError, InvalidSignature) as error:
            raise unauthorized() from error
        result: Object = claims
        return result

    def issue(self, request: ApiRequest, body: Object) -> Object:
        """Answer a TokenRequest for the service account the request names."""
        account = self._store.get(SERVICE_ACCOUNTS, request.namespace, request.name)
        if account is None:
            raise not_found(request.kind, request.name)
        spec = dict(body.get("spec") or {})
        audiences = list(spec.get("audiences") or ()) or [ISSUER]
        seconds = int(spec.get("expirationSeconds") or USUAL_SECONDS)
        if seconds < MINIMUM_SECONDS:
            why = f"may not specify a duration less than {MINIMUM_SECONDS // 60} minutes"
            cause = invalid_value("spec.expirationSeconds", seconds, why)
            raise FieldErrors(request.kind, request.name, [cause])
        now = int(time.time())
        expiry = now + min(seconds, MAXIMUM_SECONDS)
        said: Object = {"namespace": request.namespace, "serviceaccount": _reference(account.load())}
        said |= self._bound(request.kind, request.namespace, spec.get("boundObjectRef"))
        claims = {"aud": audiences, "exp": expiry, "iat": now, "nbf": now, "iss": ISSUER, "jti": str(uuid.uuid4())}
        claims |= {"kubernetes.io": said, "sub": f"system:serviceaccount:{request.namespace}:{request.name}"}
        spec |= {"audiences": audiences, "expirationSeconds": seconds}
        metadata = {"name": request.name, "namespace": request.namespace, "creationTimestamp": _time(now)}
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": metadata,
            "spec": spec,
            "status": {"token": self._sign(claims), "expirationTimestamp": _time(expiry)},
        }

    def _bound(self, kind: ResourceType, namespace: str, reference: Object | None) -> Object:
        if not reference:
            return {}
        name = str(reference.get("name"))
        word = str(reference.get("kind", "")).lower()
        record = self._store.get(f"/{word}s", namespace, name) if word in ("pod", "secret") else None
        if record is None or (reference.get("uid") and record.load()["metadata"]["uid"] != reference["uid"]):
            raise not_found(kind, f"{word}/{name}")
        return {word: _reference(record.load())}

    def _sign(self, claims: Object) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        signed = _encode(orjson.dumps({"alg": "ES256", "typ": "JWT"})) + "." + _encode(orjson.dumps(claims))
        first, second = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return signed + "." + _encode(first.to_bytes(32) + second.to_bytes(32))


def _reference(value: Object) -> Object:
    return {"name": value["metadata"]["name"], "uid": value["metadata"]["uid"]}


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
