"""Why a login by OpenID Connect did not succeed. `reason` is a key of the login page's texts, which say the way out."""

from __future__ import annotations


class LoginRefused(Exception):
    """`detail` fills the text's place for what exactly; `command` is what somebody may run to mend it."""

    def __init__(self, reason: str, detail: str = "", *, user: str = "", command: str = "", status: int = 403) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.user = user
        self.command = command
        self.status = status


class ProviderUnavailable(LoginRefused):
    """The provider does not answer, or not as a provider: trying again later may help."""

    def __init__(self, detail: str) -> None:
        super().__init__("providerUnavailable", detail, status=503)
