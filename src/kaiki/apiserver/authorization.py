"""Who may do what: requests and access reviews answered from Roles, ClusterRoles and their bindings.

    user ─▶ bindings that name the user or one of its groups ─▶ rules, cluster-wide or of one namespace ─▶ yes or no

The members of `system:masters` may do everything, as on any cluster. What a user's bindings say is worked out once and
kept until a role or a binding changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import ApiError
from kaiki.apiserver.requests import User
from kaiki.apiserver.selectors import matches_label_selector
from kaiki.apiserver.store import Event, Store

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"{GROUP}/roles", f"{GROUP}/clusterroles"
BINDINGS, CLUSTER_BINDINGS = f"{GROUP}/rolebindings", f"{GROUP}/clusterrolebindings"
MASTERS = "system:masters"
KEPT_USERS = 256
Object = dict[str, Any]
Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do: `verb` on a resource (`namespace` empty: cluster-wide), or on a path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule that a user has, in one namespace (empty: in all), and the binding it has it by."""

    rule: Rule
    namespace: str
    reason: str


class Authorizer:
    """Answers from the store's roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grants: dict[tuple[str, tuple[str, ...]], list[Grant]] = {}
        store.listeners.append(self._observe)

    def _observe(self, collection: str, _: Event) -> None:
        if collection.startswith(GROUP):
            self._grants.clear()

    def allows(self, user: User, wanted: Attributes) -> str | None:
        """Why the user may do this (a text for people, may be empty); None when it may not."""
        if MASTERS in user.groups:
            return ""
        for grant in self.grants(user):
            if (not grant.namespace or grant.namespace == wanted.namespace) and rule_allows(grant.rule, wanted):
                return grant.reason
        return None

    def require(self, user: User, wanted: Attributes) -> None:
        """ApiError 403, in Kubernetes's words, when the user may not."""
        if self.allows(user, wanted) is None:
            raise refusal(user, wanted)

    def grants(self, user: User) -> list[Grant]:
        """Everything the user's bindings say."""
        key = (user.name, user.groups)
        found = self._grants.get(key)
        if found is None:
            if len(self._grants) >= KEPT_USERS:
                self._grants.clear()
            found = self._grants[key] = list(self._find_grants(user))
        return found

    def _find_grants(self, user: User) -> Iterator[Grant]:
        for collection in (CLUSTER_BINDINGS, BINDINGS):
            for record in self._store.list(collection):
                binding = record.load()
                if any(_is_subject(user, subject, record.namespace) for subject in binding.get("subjects") or ()):
                    reference = binding.get("roleRef") or {}
                    reason = f'RBAC: allowed by {binding["kind"]} "{_title(record.namespace, record.name)}" of '
                    reason += f'{reference.get("kind")} "{reference.get("name")}"'
                    for rule in self.role_rules(reference, record.namespace):
                        yield Grant(rule, record.namespace, reason)

    def role_rules(self, reference: Mapping[str, Any], namespace: str) -> list[Rule]:
        """The rules of the role a binding refers to; those of the roles it aggregates as well."""
        if reference.get("kind") == "Role":
            record = self._store.get(ROLES, namespace, str(reference.get("name")))
        else:
            record = self._store.get(CLUSTER_ROLES, "", str(reference.get("name")))
        if record is None:
            return []
        role = record.load()
        rules = list(role.get("rules") or ())
        for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
            for other in self._store.list(CLUSTER_ROLES):
                if other.name != record.name and matches_label_selector(selector, other.labels):
                    rules += other.load().get("rules") or ()
        return rules

    def check_escalation(self, user: User, kind: ResourceType, namespace: str, value: Object) -> None:
        """Nobody makes a role or a binding that gives more than they have (unless they may `escalate` or `bind`)."""
        if MASTERS in user.groups or kind.group != GROUP:
            return
        if "roleRef" in value:
            reference = value["roleRef"]
            plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
            wanted = Attributes("bind", GROUP, plural, "", str(reference.get("name")), namespace)
            rules = self.role_rules(reference, namespace)
        else:
            wanted = Attributes("escalate", GROUP, kind.plural, "", value["metadata"].get("name") or "", namespace)
            rules = list(value.get("rules") or ())
        if self.allows(user, wanted) is not None:
            return
        missing = [rule for rule in rules if not all(self._covers(user, each) for each in _single(rule, namespace))]
        if missing:
            name = value["metadata"].get("name")
            why = f'user "{user.name}" is attempting to grant RBAC permissions not currently held: {list(missing)}'
            message = f'{kind.qualified_name} "{name}" is forbidden: {why}'
            raise ApiError(403, "Forbidden", message, {"name": name, "group": kind.group, "kind": kind.plural})

    def _covers(self, user: User, wanted: Attributes) -> bool:
        return self.allows(user, wanted) is not None


def rule_allows(rule: Rule, wanted: Attributes) -> bool:
    """Whether one rule allows this."""
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and wanted.verb not in verbs:
        return False
    if wanted.path:
        return any(_path_matches(each, wanted.path) for each in rule.get("nonResourceURLs") or ())
    groups, resources, names = (rule.get(key) or () for key in ("apiGroups", "resources", "resourceNames"))
    return (
        ("*" in groups or wanted.group in groups)
        and any(_resource_matches(each, wanted) for each in resources)
        and (not names or wanted.name in names)
    )


def _resource_matches(pattern: str, wanted: Attributes) -> bool:
    if pattern in ("*", wanted.full_resource):
        return True
    return bool(wanted.subresource) and pattern == f"*/{wanted.subresource}"


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _is_subject(user: User, subject: Mapping[str, Any], namespace: str) -> bool:
    name = subject.get("name")
    match subject.get("kind"):
        case "User":
            return user.name == name
        case "Group":
            return name in user.groups
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
    return False


def _single(rule: Rule, namespace: str) -> Iterator[Attributes]:
    """A rule taken apart into what each of its combinations allows."""
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield Attributes(verb, path=path)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, subresource = resource.partition("/")
                for name in rule.get("resourceNames") or ("",):
                    yield Attributes(verb, group, plural, subresource, name, namespace)


def _title(namespace: str, name: str) -> str:
    return f"{name}/{namespace}" if namespace else name


def refusal(user: User, wanted: Attributes) -> ApiError:
    """`pods is forbidden: User "…" cannot list resource "pods" in API group "" in the namespace "…"`."""
    if wanted.path:
        message = f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
        return ApiError(403, "Forbidden", message, {})
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    qualified = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
    subject = f'{qualified} "{wanted.name}"' if wanted.name else qualified
    message = f'{subject} is forbidden: User "{user.name}" cannot {wanted.verb} resource "{wanted.full_resource}" '
    message += f'in API group "{wanted.group}" {where}'
    details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
    return ApiError(403, "Forbidden", message, {key: text for key, text in details.items() if text})


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def request_verb(method: str, named: bool, watching: bool) -> str:
    """The verb of a request for objects."""
    match method:
        case "GET" | "HEAD":
            return "watch" if watching else ("get" if named else "list")
        case "DELETE":
            return "delete" if named else "deletecollection"
    return _VERBS.get(method, method.lower())


def review_attributes(spec: Mapping[str, Any]) -> Attributes:
    """What an access review asks about."""
    if paths := spec.get("nonResourceAttributes"):
        return Attributes(paths.get("verb") or "", path=paths.get("path") or "/")
    asked = spec.get("resourceAttributes") or {}
    keys = ("verb", "group", "resource", "subresource", "name", "namespace")
    return Attributes(*(str(asked.get(key) or "") for key in keys))


def rules_status(user: User, grants: Iterable[Grant], namespace: str) -> Object:
    """The status of a SelfSubjectRulesReview: all that the user may do in a namespace."""
    rules: list[Rule] = [grant.rule for grant in grants if grant.namespace in ("", namespace)]
    if MASTERS in user.groups:
        everything: Object = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        rules = [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}, *rules]
    keys = ("verbs", "apiGroups", "resources", "resourceNames")
    resources = [{key: rule[key] for key in keys if rule.get(key)} for rule in rules if rule.get("resources")]
    paths = [{key: rule[key] for key in ("verbs", "nonResourceURLs")} for rule in rules if rule.get("nonResourceURLs")]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
