"""A container's environment variables, and the `$(NAME)` expansion of its command line. Pure.

The rules are Kubernetes' own: variables come in the order envFrom, env; later ones win; `$(NAME)` sees those defined
before, an unknown one stays as it is and `$$(NAME)` escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kaiki.runtime.quantity import parse_quantity

Object = Mapping[str, Any]

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")
_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['([^']*)'\]$")
_VARIABLE_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")


class MissingReference(LookupError):
    """A ConfigMap, Secret or key a container refers to is not there (yet); the message names it."""


class Reader(Protocol):
    """Where ConfigMaps and Secrets come from; None for those that do not exist."""

    def config_map(self, namespace: str, name: str) -> Object | None: ...

    def secret(self, namespace: str, name: str) -> Object | None: ...


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the downward API tells of a pod beside its object."""

    pod: Object
    pod_ip: str
    host_ip: str


def expand(value: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replace, value)


def read_field(facts: PodFacts, path: str) -> str:
    """The value of a `fieldRef.fieldPath`; raises MissingReference for one Kubernetes does not know."""
    metadata: Mapping[str, Any] = facts.pod.get("metadata") or {}
    spec: Mapping[str, Any] = facts.pod.get("spec") or {}
    if found := _SUBSCRIPT.match(path):
        group = metadata.get(found[1].removeprefix("metadata.")) or {}
        return str(group.get(found[2], ""))
    values: dict[str, Callable[[], str]] = {
        "metadata.name": lambda: str(metadata.get("name", "")),
        "metadata.namespace": lambda: str(metadata.get("namespace", "")),
        "metadata.uid": lambda: str(metadata.get("uid", "")),
        "metadata.labels": lambda: _lines(metadata.get("labels") or {}),
        "metadata.annotations": lambda: _lines(metadata.get("annotations") or {}),
        "spec.nodeName": lambda: str(spec.get("nodeName", "")),
        "spec.serviceAccountName": lambda: str(spec.get("serviceAccountName", "default")),
        "status.podIP": lambda: facts.pod_ip,
        "status.podIPs": lambda: facts.pod_ip,
        "status.hostIP": lambda: facts.host_ip,
        "status.hostIPs": lambda: facts.host_ip,
    }
    if path not in values:
        raise MissingReference(f"fieldPath {path!r} is not supported")
    return values[path]()


def _lines(pairs: Mapping[str, str]) -> str:
    def quote(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    return "\n".join(f"{name}={quote(str(pairs[name]))}" for name in sorted(pairs))


def read_resource(reference: Mapping[str, Any], pod: Object, own: Object, machine: Mapping[str, str]) -> str:
    """The value of a `resourceFieldRef`, rounded up to its divisor. A limit nobody set is what the machine has."""
    container = _named_container(pod, reference.get("containerName")) or own
    group, _, resource = str(reference["resource"]).partition(".")
    values = (container.get("resources") or {}).get(group) or {}
    limits = (container.get("resources") or {}).get("limits") or {}
    default = "0" if group == "requests" and resource not in limits else machine.get(resource, "0")
    amount = parse_quantity(str(values.get(resource, limits.get(resource, default))))
    divisor = parse_quantity(str(reference.get("divisor") or "1")) or 1
    return str(-(-amount // divisor))


def _named_container(pod: Object, name: str | None) -> Object | None:
    spec = pod.get("spec") or {}
    everyone = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return next((container for container in everyone if name and container["name"] == name), None)


def _from_object(kind: str, reference: Object, namespace: str, reader: Reader) -> Mapping[str, Any] | None:
    """The data of a referenced ConfigMap or Secret, Secrets decoded; None when it is missing and optional."""
    name = str(reference["name"])
    read = reader.config_map if kind == "configmap" else reader.secret
    found = read(namespace, name)
    if found is None:
        if reference.get("optional"):
            return None
        raise MissingReference(f'{kind} "{name}" not found')
    return object_texts(found)


def object_texts(found: Object) -> Mapping[str, str]:
    """A ConfigMap's or Secret's values as text."""
    from base64 import b64decode

    data = found.get("data") or {}
    if found.get("kind") == "Secret" or "type" in found:
        return {key: b64decode(value).decode(errors="replace") for key, value in data.items()}
    return {key: str(value) for key, value in data.items()}


def _from_key(kind: str, reference: Object, namespace: str, reader: Reader) -> str | None:
    values = _from_object(kind, reference, namespace, reader)
    if values is not None and reference["key"] in values:
        return str(values[reference["key"]])
    if reference.get("optional"):
        return None
    raise MissingReference(f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}")


def build_environment(
    facts: PodFacts, container: Object, base: Mapping[str, str], reader: Reader, machine: Mapping[str, str]
) -> dict[str, str]:
    """All variables of a container. `base` are those of the image and of services. Raises MissingReference."""
    namespace = str(facts.pod["metadata"].get("namespace", "default"))
    variables = dict(base)
    for source in container.get("envFrom") or ():
        for kind, key in (("configmap", "configMapRef"), ("secret", "secretRef")):
            if key in source:
                values = _from_object(kind, source[key], namespace, reader) or {}
                prefixed = {str(source.get("prefix") or "") + name: str(value) for name, value in values.items()}
                variables.update({name: value for name, value in prefixed.items() if _VARIABLE_NAME.match(name)})
    for variable in container.get("env") or ():
        value = _variable(variable, variables, facts, container, reader, machine)
        if value is not None:
            variables[variable["name"]] = value
    return variables


def _variable(
    variable: Object,
    variables: Mapping[str, str],
    facts: PodFacts,
    container: Object,
    reader: Reader,
    machine: Mapping[str, str],
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(str(variable.get("value") or ""), variables)
    namespace = str(facts.pod["metadata"].get("namespace", "default"))
    if "fieldRef" in source:
        return read_field(facts, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return read_resource(source["resourceFieldRef"], facts.pod, container, machine)
    if "configMapKeyRef" in source:
        return _from_key("configmap", source["configMapKeyRef"], namespace, reader)
    if "secretKeyRef" in source:
        return _from_key("secret", source["secretKeyRef"], namespace, reader)
    raise MissingReference(f"env {variable['name']}: valueFrom has no source this node knows")
