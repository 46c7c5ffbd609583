"""Keeps the bearer token fresh: service account tokens are renewed on disk, plug-in tokens expire."""

import asyncio
import os
import subprocess
from datetime import UTC, datetime

import orjson

from kaiki.kube.config import ConfigError, CredentialCommand, KubeConfig

EXPIRY_MARGIN_SECONDS = 60.0


class Credential:
    """Answers the token to send now. Cheap to call before every request."""

    def __init__(self, config: KubeConfig) -> None:
        self._config = config
        self._token = config.token
        self._modified_nanoseconds = -1
        self._expires: datetime | None = None

    @property
    def renewable(self) -> bool:
        """Whether asking again may give another token."""
        return self._config.token_file is not None or self._config.command is not None

    async def token(self) -> str | None:
        """The bearer token, read again when its file changed or it is about to expire; None for none."""
        if self._config.token_file is not None:
            self._read_file()
        elif self._config.command is not None and self._expired():
            await self._run(self._config.command)
        return self._token

    def forget(self) -> None:
        """The server refused the token: the next call gets a new one, if there is a way."""
        self._modified_nanoseconds = -1
        if self._config.command is not None:
            self._token = None

    def _read_file(self) -> None:
        """A rename over the file (as Kubernetes does it) changes the time, so one stat a request is enough."""
        assert self._config.token_file is not None
        try:
            modified = os.stat(self._config.token_file).st_mtime_ns
            if modified != self._modified_nanoseconds:
                self._token = self._config.token_file.read_text().strip()
                self._modified_nanoseconds = modified
        except OSError as error:
            if self._token is None:
                raise ConfigError(f"token file {self._config.token_file} cannot be read: {error}") from error

    def _expired(self) -> bool:
        if self._token is None:
            return True
        return self._expires is not None and (self._expires - datetime.now(UTC)).total_seconds() < EXPIRY_MARGIN_SECONDS

    async def _run(self, command: CredentialCommand) -> None:
        info = {"apiVersion": command.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = os.environ | dict(command.environment) | {"KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                *command.arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment
            )
            output, _ = await process.communicate()
            status = orjson.loads(output)["status"]
            self._token = str(status["token"])
        except (OSError, KeyError, orjson.JSONDecodeError) as error:
            raise ConfigError(f"credential command {command.arguments[0]!r} gave no token: {error}") from error
        expires = status.get("expirationTimestamp")
        self._expires = datetime.fromisoformat(expires) if expires else None
