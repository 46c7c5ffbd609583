"""Whether somebody who has logged in may open the console: by their groups, or else by what Kubernetes lets them see.

The console shows every namespace to whoever it lets in. So without a list of groups it lets in those who may list the
pods of all namespaces: the ClusterRole `view`, bound for the whole cluster, says so.
"""

from __future__ import annotations

import shlex

from kaiki.console.errors import ConsoleError
from kaiki.console.identity import Identities
from kaiki.console.oidc.errors import LoginRefused
from kaiki.console.oidc.sessions import Person
from kaiki.console.oidc.settings import ActsBy, OidcSettings
from kaiki.kube.errors import Forbidden, KubeError, Unauthorized

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ASKED = {"resourceAttributes": {"verb": "list", "resource": "pods"}}


class Admission:
    """Asks at login, and again whenever a session is renewed. Without a Kubernetes API only groups can be asked for."""

    def __init__(self, settings: OidcSettings, identities: Identities, *, connected: bool) -> None:
        self._settings = settings
        self._identities = identities
        self._connected = connected

    async def admit(self, person: Person) -> None:
        """Raise LoginRefused when they may not."""
        wanted = self._settings.groups
        if wanted:
            prefixed = {self._settings.groups_prefix + group for group in wanted}
            if not prefixed & set(person.groups):
                raise LoginRefused("notInGroup", ", ".join(wanted), user=person.user)
            return
        if not self._connected:
            raise LoginRefused("misconfigured", "without a Kubernetes API, --oidc-group must say who may come in")
        if not await self._may_look(person):
            command = "kubectl create clusterrolebinding console-view --clusterrole=view --user="
            raise LoginRefused("mayNotLook", user=person.user, command=command + shlex.quote(person.user))

    async def _may_look(self, person: Person) -> bool:
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": _ASKED}
        try:
            async with self._identities.acting_as(person.identity) as client:
                answer = await client.request("POST", _REVIEW, body=body, call="ask what somebody may see")
        except Unauthorized as error:
            raise LoginRefused("tokenNotTrusted", self._settings.issuer, user=person.user) from error
        except Forbidden as error:
            if self._settings.acts_by is ActsBy.IMPERSONATION:
                raise LoginRefused("mayNotImpersonate", str(error), user=person.user, status=500) from error
            return False
        except (KubeError, ConsoleError) as error:
            raise LoginRefused("kubernetesUnavailable", str(error), status=503) from error
        return bool((answer.get("status") or {}).get("allowed"))
