"""Everything that is not the JSON API: health, login, and the built UI."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from kaiki.console.access import Access
from kaiki.console.answers import answer_json
from kaiki.console.cookies import Cookies
from kaiki.console.errors import UnknownObject
from kaiki.console.identity import HEADER, LONGEST_TOKEN, Identities
from kaiki.console.login_page import LoginPage
from kaiki.console.return_path import forward_page

STATIC_FOLDER = Path(__file__).parent / "static"
_ONE_YEAR = "public, max-age=31536000, immutable"
_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>Kaiki</title>
<p>The web UI has not been built: run <code>npm ci && npm run build</code> in <code>ui/</code>.
The API answers under /api/.
"""


class Pages:
    """Pages around the API."""

    def __init__(
        self,
        access: Access,
        static_folder: Path = STATIC_FOLDER,
        *,
        identities: Identities | None = None,
        page: LoginPage | None = None,
        cookies: Cookies | None = None,
    ) -> None:
        self._page = page or LoginPage()
        self._cookies = cookies or Cookies()
        self._access = access
        self._identities = identities
        self._static_folder = static_folder

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount; the last one catches everything else."""
        return [
            web.get("/healthz", self.health),
            web.get("/kiali/healthz", self.health),
            web.get("/login", self.login_page),
            web.post("/login", self.login),
            web.post("/api/login-links", self.login_link),
            web.get("/kiali", self.from_kiali),
            web.get("/kiali/{rest:.*}", self.from_kiali),
            web.get("/assets/{name:[A-Za-z0-9._-]+}", self.asset),
            web.get("/{rest:.*}", self.shell),
        ]

    async def health(self, request: web.Request) -> web.Response:
        """The process answers."""
        return web.Response(text="ok\n")

    async def login_page(self, request: web.Request) -> web.StreamResponse:
        """The form; with a valid `code`, straight in."""
        code = request.query.get("code")
        known, identity = self._access.redeem(code) if code is not None else (False, None)
        if known:
            return self._let_in(request, "/", identity)
        return self._page.render(request, "" if code is None else "wrongCode")

    async def login(self, request: web.Request) -> web.StreamResponse:
        """The form's answer."""
        form = await request.post()
        token, then = form.get("token", ""), form.get("to", "/")
        if isinstance(token, str) and self._access.knows_token(token.strip()):
            return self._let_in(request, then if isinstance(then, str) else "/")
        return self._page.render(request, "wrongToken")

    async def login_link(self, request: web.Request) -> web.Response:
        """A one-time link, for whoever has the token itself."""
        if not self._access.bears_token(request):
            error = {"code": "unauthorized", "message": "A login link needs the bearer token.", "hint": ""}
            return answer_json({"error": error}, status=401)
        identity = request.headers.get(HEADER, "").strip()
        code = self._access.issue_code(identity if identity.isascii() and 0 < len(identity) <= LONGEST_TOKEN else None)
        return answer_json({"path": "/login?" + urlencode({"code": code})}, status=201)

    async def from_kiali(self, request: web.Request) -> web.Response:
        """Bookmarks of Kiali's path prefix arrive at the root."""
        return web.Response(status=302, headers={"Location": "/"})

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """A built file; its name holds its hash, so browsers keep it for good."""
        path = self._static_folder / "assets" / request.match_info["name"]
        if not path.is_file():
            raise UnknownObject(f"{request.path} is not there")
        return web.FileResponse(path, headers={"Cache-Control": _ONE_YEAR})

    async def shell(self, request: web.Request) -> web.StreamResponse:
        """Every other path is a page of the UI, which routes by itself; unknown API paths are not pages."""
        if request.path.startswith("/api/"):
            raise UnknownObject(f"{request.path} is not part of the API", "See /api/openapi.json.")
        name = request.match_info["rest"]
        if name in ("favicon.svg",) and (self._static_folder / name).is_file():
            return web.FileResponse(self._static_folder / name)
        index = self._static_folder / "index.html"
        if not index.is_file():
            return web.Response(text=_NOT_BUILT, content_type="text/html", status=503)
        return web.FileResponse(index, headers={"Cache-Control": "no-cache"})

    def _let_in(self, request: web.Request, then: str, identity: str | None = None) -> web.Response:
        """Set the cookies and go on; `identity` is the Kubernetes token that changes are made with."""
        response = forward_page(then)
        self._access.open_session(response, secure=self._cookies.is_secure(request))
        if identity is not None and self._identities is not None:
            self._identities.keep(request, response, identity)
        return response
