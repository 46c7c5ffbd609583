"""The login page, the only one open to everybody: plain HTML, no script, English or Korean as the browser asks."""

from __future__ import annotations

import secrets
from html import escape
from string import Template
from urllib.parse import quote

from aiohttp import web

from kaiki.console.login_texts import REFUSALS, TEXTS
from kaiki.console.oidc.errors import LoginRefused
from kaiki.console.return_path import safe_path

_LOOKUP = "kubectl get secret kaiki-console -n istio-system -o jsonpath='{.data.token}' | base64 -d"

_PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style nonce="$nonce">
  :root { color-scheme: light dark; --page: #f4f6f9; --card: #fff; --text: #14202e; --soft: #55647a; --line: #d5dde7;
    --accent: #0b6e8f; --on-accent: #fff; --error: #b42318 }
  @media (prefers-color-scheme: dark) { :root { --page: #0c131c; --card: #141d29; --text: #e6edf5; --soft: #93a3b8;
    --line: #2a3748; --accent: #3fb6d8; --on-accent: #04202b; --error: #ff8a7a } }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--page);
    color: var(--text); word-break: keep-all;
    font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Apple SD Gothic Neo", "Malgun Gothic",
    "Noto Sans KR", sans-serif }
  main { width: 100%; max-width: 420px; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
    padding: 32px }
  svg { display: block; width: 40px; height: 40px; color: var(--accent) }
  h1 { font-size: 21px; margin: 18px 0 6px; letter-spacing: -.01em }
  p { margin: 0 0 18px; color: var(--soft) }
  label { display: block; font-weight: 600; margin-bottom: 6px }
  input { width: 100%; height: 42px; padding: 0 12px; font: inherit; color: inherit; background: var(--page);
    border: 1px solid var(--line); border-radius: 9px }
  button, .button { display: grid; place-items: center; width: 100%; min-height: 42px; margin-top: 14px;
    padding: 6px 12px; border: 0; border-radius: 9px; background: var(--accent); color: var(--on-accent); font: inherit;
    font-weight: 600; text-align: center; text-decoration: none; overflow-wrap: anywhere; cursor: pointer }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
  .error { color: var(--error); font-weight: 600 }
  .refusal { margin: 0 0 18px; padding: 12px 14px; border: 1px solid var(--error); border-radius: 9px }
  .refusal p { margin: 0 0 6px; overflow-wrap: anywhere }
  .refusal p:last-child { margin: 0 }
  form { margin-top: 12px }
  details { margin-top: 20px; color: var(--soft); font-size: 13px }
  summary { cursor: pointer }
  code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 8px 0 0; padding: 10px; background: var(--page);
    border-radius: 8px }
</style>
</head>
<body>
<main>
  <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round"
    aria-hidden="true">
    <path d="M12 3v12M12 4c4 2 6 6 6.5 11H12M10 7c-2.5 2-4 5-4.5 8H10M3 18h18c-1 2-3 3-5 3H8c-2 0-4-1-5-3Z"/>
  </svg>
  <h1>$heading</h1>
  <p>$explain</p>
  $error
  $ways
</main>
</body>
</html>
""")


_FORM = Template("""<form method="post" action="/login">
    <input type="hidden" name="to" value="$then">
    <label for="token">$label</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required $focus>
    <button>$button</button>
  </form>
  <details><summary>$lookup</summary><pre><code>$command</code></pre></details>""")
_PROVIDER = Template("""<a class="button" href="/login/oidc?to=$then">$label</a>
  <details $open><summary>$other</summary>
  $form
  </details>""")


class LoginPage:
    """The page of one console; `provider` is what people know its OpenID provider by, if it has one."""

    def __init__(self, provider: str = "") -> None:
        self._provider = provider

    def render(
        self, request: web.Request, error: str = "", refused: LoginRefused | None = None, then: str | None = None
    ) -> web.Response:
        """The form, and what was wrong with the last try; where to go afterwards stays as it was asked for."""
        language = choose_language(request.headers.get("Accept-Language", ""))
        then = safe_path(request.query.get("to", "/") if then is None else then)
        page, policy = render_login_page(language, error, provider=self._provider, refused=refused, then=then)
        status = refused.status if refused is not None else 401 if error else 200
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=page, content_type="text/html", status=status, headers=headers)


def render_login_page(
    accept_language: str, error: str = "", *, provider: str = "", refused: LoginRefused | None = None, then: str = "/"
) -> tuple[str, str]:
    """(HTML, its Content-Security-Policy). `error` is a key of the texts, or empty."""
    language = choose_language(accept_language)
    texts = TEXTS[language]
    nonce = secrets.token_urlsafe(16)
    then = safe_path(then)
    told = f'<p class="error" role="alert">{texts[error]}</p>' if error else ""
    told += _refusal(refused, language) if refused is not None else ""
    focus = "" if provider else "autofocus"
    ways = _FORM.substitute(texts, then=escape(then, quote=True), focus=focus, command=escape(_LOOKUP))
    if provider:
        label = texts["withProvider"].format(provider=escape(provider))
        opened = "open" if error else ""
        rest = {"label": label, "open": opened, "other": texts["withToken"], "form": ways}
        ways = _PROVIDER.substitute(rest, then=quote(then, safe=""))
    explain = texts["explainProvider" if provider else "explain"]
    page = _PAGE.substitute(texts, language=language, nonce=nonce, error=told, ways=ways, explain=explain)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _refusal(refused: LoginRefused, language: str) -> str:
    """What is wrong, what exactly, and the way out; nothing of it is markup, whoever said it."""
    wrong, way_out = (escape(text.format(user=refused.user)) for text in REFUSALS[language][refused.reason])
    parts = [f'<p class="error">{wrong}</p>']
    parts += [f"<p>{escape(refused.detail)}</p>"] if refused.detail else []
    parts += [f"<p>{way_out}</p>"]
    parts += [f"<pre><code>{escape(refused.command)}</code></pre>"] if refused.command else []
    return f'<div class="refusal" role="alert">{"".join(parts)}</div>'


def choose_language(accept_language: str) -> str:
    """The first of the browser's languages that there are texts in; English otherwise."""
    for entry in accept_language.split(","):
        language = entry.partition(";")[0].strip().lower().partition("-")[0]
        if language in TEXTS:
            return language
    return "en"
