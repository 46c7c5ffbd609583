"""An OpenID provider that signs for real and lies on demand, and a browser before a console that trusts it.

Discovery, keys, authorization with PKCE, tokens and their renewal; nobody is asked for a password.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote_plus, urlencode

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kaiki.console.oidc.settings import OidcSettings
from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.kube.config import KubeConfig

Object = dict[str, Any]
CONSOLE_TOKEN = "a-token-for-tests"
CLIENT, SECRET = "kaiki", "s3cret/+"
SIGNING = {"rsa": "RS256", "ec": "ES256"}


class FakeProvider:
    """Whoever comes is logged in as `claims` say. `change` alters the claims of a token, `sign` signs them."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, Any] = {"rsa": _rsa_key(), "ec": ec.generate_private_key(ec.SECP256R1())}
        self.claims: Object = {"sub": "42", "email": "jane@example.org", "groups": ["readers"]}
        self.change: Callable[[Object], Object] = lambda claims: claims
        self.sign: Callable[[Object], str] = self.signed
        self.listed = list(self.keys)
        self.metadata: Object = {}
        self.answer: Object = {}
        self.lifetime = 300
        self.refreshes = True
        self.up = True
        self.asked: list[str] = []
        self._codes: dict[str, Object] = {}
        self._refresh_tokens: dict[str, str] = {}

    def application(self) -> web.Application:
        application = web.Application()
        routes = [web.get("/.well-known/openid-configuration", self.discovery), web.get("/keys", self.list_keys)]
        routes += [web.get("/authorize", self.authorize), web.post("/token", self.token)]
        application.add_routes(routes)
        return application

    def signed(self, claims: Object, key: str = "rsa", kid: str | None = None, algorithm: str = "") -> str:
        """A good token by one of the keys."""
        headers = {"kid": kid or key}
        return jwt.encode(claims, self.keys[key], algorithm=algorithm or SIGNING[key], headers=headers)

    def public_pem(self, key: str) -> bytes:
        pem: bytes = self.keys[key].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem

    async def discovery(self, _: web.Request) -> web.Response:
        self.asked.append("discovery")
        if not self.up:
            return web.Response(status=502, text="no")
        ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        told: Object = {"issuer": self.url, **{name: self.url + path for name, path in ends.items()}}
        told["token_endpoint_auth_methods_supported"] = ["client_secret_basic"]
        return web.json_response(told | self.metadata)

    async def list_keys(self, _: web.Request) -> web.Response:
        self.asked.append("keys")
        found = []
        for name in self.listed:
            algorithm = jwt.get_algorithm_by_name(SIGNING[name])
            described = json.loads(algorithm.to_jwk(self.keys[name].public_key()))
            found.append(described | {"kid": name, "use": "sig"})
        return web.json_response({"keys": found})

    async def authorize(self, request: web.Request) -> web.Response:
        """Nobody is asked for a password."""
        query = dict(request.query)
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        answer = {"code": code, "state": query["state"]} | self.answer
        return web.Response(status=303, headers={"Location": f"{query['redirect_uri']}?{urlencode(answer)}"})

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = dict(await request.post())
        pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(pair[0]), unquote_plus(pair[2])) != (CLIENT, SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "refresh_token":
            nonce = self._refresh_tokens.pop(str(form["refresh_token"]), None)
        else:
            nonce = self._redeem(form)
        if nonce is None or (not self.refreshes and form["grant_type"] == "refresh_token"):
            return web.json_response({"error": "invalid_grant", "error_description": "used or gone"}, status=400)
        return web.json_response(self._tokens(nonce))

    def _redeem(self, form: Object) -> str | None:
        asked = self._codes.pop(form["code"], None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return None
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        return str(asked["nonce"]) if digest == asked["code_challenge"] else None

    def _tokens(self, nonce: str) -> Object:
        now, refresh = int(time.time()), secrets.token_urlsafe(16)
        self._refresh_tokens[refresh] = nonce
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + self.lifetime, "nonce": nonce} | self.claims
        tokens: Object = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(self.change(claims))}
        return tokens | ({"refresh_token": refresh} if self.refreshes else {})


def unsigned(claims: Object) -> str:
    """A token that claims everything and proves nothing (alg=none)."""
    return ".".join([_part({"alg": "none", "typ": "JWT"}), _part(claims), ""])


def by_public_key(claims: Object, pem: bytes) -> str:
    """A token signed with what everybody knows: the public key, taken for a shared secret."""
    text = ".".join([_part({"alg": "HS256", "typ": "JWT", "kid": "rsa"}), _part(claims)])
    return f"{text}.{_encode(hmac.new(pem, text.encode(), hashlib.sha256).digest())}"


def _part(value: Object) -> str:
    return _encode(json.dumps(value).encode())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _rsa_key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Browser:
    """Keeps cookies, and follows no redirect by itself."""

    def __init__(self, console: str) -> None:
        self.console = console
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str, **headers: str) -> tuple[int, str, Any]:
        url = path if path.startswith("http") else self.console + path
        async with self.session.get(url, allow_redirects=False, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers

    async def begin(self, to: str = "/graph") -> str:
        """To the provider and through it: the address of the way back."""
        status, text, headers = await self.get(f"/login/oidc?to={to}")
        assert status == 303, text
        return str((await self.get(headers["Location"]))[2]["Location"])

    async def log_in(self, to: str = "/graph") -> tuple[int, str]:
        status, text, _ = await self.get(await self.begin(to))
        return status, text

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        async with self.session.post(self.console + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def user(self) -> str | None:
        """Whom changes are made as; "nobody" when nobody is logged in."""
        status, _, _ = await self.get("/api/me")
        return (await self._json("/api/me"))["user"] if status == 200 else "nobody"

    async def _json(self, path: str) -> Any:
        async with self.session.get(self.console + path) as answer:
            return await answer.json()


@asynccontextmanager
async def console(provider: Any, kube: KubeConfig | None = None, **settings: Any) -> AsyncIterator[Browser]:
    oidc = {"client_secret": SECRET, "groups": () if kube else ("readers",)} | settings.pop("oidc", {})
    chosen = ConsoleSettings(
        listen=("127.0.0.1", 0),
        metrics_url="http://127.0.0.1:9",
        kube=kube,
        token=CONSOLE_TOKEN,
        oidc=OidcSettings(**({"issuer": provider.url, "client_id": CLIENT} | oidc)),
        **settings,
    )
    async with running(chosen) as (host, port):
        browser = Browser(f"http://{host}:{port}")
        try:
            yield browser
        finally:
            await browser.session.close()


async def main() -> None:
    """As a program it serves https at the loopback until it is ended, and prints its issuer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True, help="the name people and the console know it by")
    parser.add_argument("--chain", required=True)
    parser.add_argument("--key", required=True)
    given = parser.parse_args()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(given.chain, given.key)
    provider = FakeProvider()
    runner = web.AppRunner(provider.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    provider.url = f"https://{given.host}:{runner.addresses[0][1]}"
    print(provider.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
