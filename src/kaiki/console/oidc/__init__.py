"""Login by OpenID Connect: the authorization code flow with PKCE, for consoles that several people share.

/login/oidc ─▶ provider ─▶ /login/oidc/callback ─▶ ID token verified ─▶ may they open it? ─▶ sealed session cookie

| module | does |
|---|---|
| `provider` | what the provider says of itself, its keys, its token endpoint |
| `id_token` | whether an ID token is good, and for whom |
| `sessions` | the cookie, and its renewal |
| `admission` | whether somebody may open the console |
| `login` | the two pages |
"""
