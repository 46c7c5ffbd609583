"""The login page, the only one open to everybody: plain HTML, no script, English or Korean as the browser asks."""

from __future__ import annotations

import secrets
from string import Template

_TEXTS = {
    "en": {
        "title": "Log in · Kaiki",
        "heading": "Log in to the console",
        "explain": "Paste the access token, or open the link that <code>kaiki dashboard</code> prints.",
        "label": "Access token",
        "button": "Log in",
        "wrongToken": "That token is not right.",
        "wrongCode": "That link was used already or is older than a minute. Ask for a new one.",
        "lookup": "Where is the token?",
    },
    "ko": {
        "title": "로그인 · Kaiki",
        "heading": "콘솔 로그인",
        "explain": "액세스 토큰을 붙여 넣거나 <code>kaiki dashboard</code> 명령이 출력하는 링크를 여세요.",
        "label": "액세스 토큰",
        "button": "로그인",
        "wrongToken": "토큰이 올바르지 않습니다.",
        "wrongCode": "이미 사용했거나 1분이 지난 링크입니다. 새 링크를 받아 주세요.",
        "lookup": "토큰 확인 방법",
    },
}
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
    color: var(--text); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Apple SD Gothic Neo", "Malgun Gothic",
    "Noto Sans KR", sans-serif }
  main { width: 100%; max-width: 420px; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
    padding: 32px }
  svg { display: block; width: 40px; height: 40px; color: var(--accent) }
  h1 { font-size: 21px; margin: 18px 0 6px; letter-spacing: -.01em }
  p { margin: 0 0 18px; color: var(--soft) }
  label { display: block; font-weight: 600; margin-bottom: 6px }
  input { width: 100%; height: 42px; padding: 0 12px; font: inherit; color: inherit; background: var(--page);
    border: 1px solid var(--line); border-radius: 9px }
  button { width: 100%; height: 42px; margin-top: 14px; border: 0; border-radius: 9px; background: var(--accent);
    color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer }
  input:focus-visible, button:focus-visible, summary:focus-visible { outline: 3px solid var(--accent);
    outline-offset: 2px }
  .error { color: var(--error); font-weight: 600 }
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
  <form method="post" action="/login">
    <label for="token">$label</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
    <button>$button</button>
  </form>
  <details><summary>$lookup</summary><pre><code>$command</code></pre></details>
</main>
</body>
</html>
""")


def render_login_page(accept_language: str, error: str = "") -> tuple[str, str]:
    """(HTML, its Content-Security-Policy). `error` is a key of the texts, or empty."""
    language = choose_language(accept_language)
    texts = _TEXTS[language]
    nonce = secrets.token_urlsafe(16)
    message = f'<p class="error" role="alert">{texts[error]}</p>' if error else ""
    page = _PAGE.substitute(texts, language=language, nonce=nonce, error=message, command=_LOOKUP)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return page, policy


def choose_language(accept_language: str) -> str:
    """The first of the browser's languages that there are texts in; English otherwise."""
    for entry in accept_language.split(","):
        language = entry.partition(";")[0].strip().lower().partition("-")[0]
        if language in _TEXTS:
            return language
    return "en"
