"""What Kubernetes refuses about built-in kinds beyond types: names, required fields, rules between fields,
immutability.

Required fields come from the OpenAPI definitions; the rules here are those users and controllers meet in practice.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.custom_validation import schema_problem
from kaiki.apiserver.errors import FieldCause, forbidden_value, invalid_value, required, unsupported_value
from kaiki.apiserver.kind_rules import check_autoscaler, check_budget, check_webhooks
from kaiki.apiserver.schemas import Schema, items_of, property_of, resolve, schema_of

Object = dict[str, Any]
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_WHY = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WHY = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SERVICE_WHY = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and "
    "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def check_metadata(kind: ResourceType, value: Object) -> list[FieldCause]:
    """Name, labels and annotations."""
    metadata = value["metadata"]
    causes = list(_check_name(kind, metadata.get("name") or ""))
    for key, text in (metadata.get("labels") or {}).items():
        causes += _check_qualified("metadata.labels", key)
        if not _LABEL_VALUE.fullmatch(str(text)):
            why = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
            )
            causes.append(invalid_value("metadata.labels", text, f"{why} start and end with an alphanumeric character"))
    for key in metadata.get("annotations") or {}:
        causes += _check_qualified("metadata.annotations", key.lower())
    return causes


def _check_name(kind: ResourceType, name: str) -> Iterator[FieldCause]:
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif kind.group == "rbac.authorization.k8s.io":
        if "/" in name or "%" in name or name in (".", ".."):
            yield invalid_value("metadata.name", name, "may not contain '/' or '%'")
    elif kind.plural == "services":
        if not _SERVICE.fullmatch(name):
            yield invalid_value("metadata.name", name, _SERVICE_WHY)
    elif kind.plural == "namespaces":
        if not _LABEL.fullmatch(name):
            yield invalid_value("metadata.name", name, _LABEL_WHY)
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield invalid_value("metadata.name", name, _SUBDOMAIN_WHY)


def _check_qualified(field: str, key: str) -> Iterator[FieldCause]:
    prefix, slash, name = key.rpartition("/")
    if (slash and (not prefix or not _SUBDOMAIN.fullmatch(prefix))) or not _QUALIFIED.fullmatch(name):
        why = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        yield invalid_value(field, key, why + "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc')")


def check_built_in(kind: ResourceType, value: Object, old: Object | None) -> list[FieldCause]:
    """Everything wrong with an object of a built-in kind; `old` is what it replaces."""
    causes = list(_missing(value, schema_of(kind), ""))
    if not causes:
        check = _CHECKS.get(kind.qualified_name)
        causes = list(check(value, old)) if check else []
    return causes


def _missing(value: Any, schema: Schema, path: str) -> Iterator[FieldCause]:
    """Required fields that are not there. Status is written by components, and not looked at."""
    schema = resolve(schema)
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                yield required(f"{path}.{name}" if path else name)
        for key, item in value.items():
            if isinstance(item, dict | list) and not (path == "" and key in ("status", "metadata")):
                field = property_of(schema, key)
                if field is not None:
                    yield from _missing(item, field, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        items = items_of(schema)
        for at, item in enumerate(value):
            yield from _missing(item, items, f"{path}[{at}]")


def _check_pod(value: Object, old: Object | None) -> Iterator[FieldCause]:
    spec = value.get("spec")
    if spec is None:
        yield required("spec.containers")
        return
    yield from _check_pod_spec(spec, "spec")
    if old and spec.get("nodeName") != old["spec"].get("nodeName") and old["spec"].get("nodeName"):
        yield forbidden_value("spec", "pod updates may not change fields other than `spec.containers[*].image`")


def _check_pod_spec(spec: Object, path: str) -> Iterator[FieldCause]:
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for field in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(field) or ()):
            yield from _check_container(container, f"{path}.{field}[{at}]", names, volumes)
    policy = spec.get("restartPolicy", "Always")
    if policy not in ("Always", "OnFailure", "Never"):
        yield unsupported_value(f"{path}.restartPolicy", policy, ("Always", "OnFailure", "Never"))


def _check_container(container: Object, path: str, names: set[str], volumes: set[Any]) -> Iterator[FieldCause]:
    name = container.get("name") or ""
    if not _LABEL.fullmatch(name):
        yield invalid_value(f"{path}.name", name, _LABEL_WHY) if name else required(f"{path}.name")
    if name in names:
        yield FieldCause(f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
    names.add(name)
    if not container.get("image"):
        yield required(f"{path}.image")
    for at, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            cause = f'Not found: "{mount.get("name")}"'
            yield FieldCause(f"{path}.volumeMounts[{at}].name", "FieldValueNotFound", cause)
    for at, port in enumerate(container.get("ports") or ()):
        yield from _check_port(port.get("containerPort"), f"{path}.ports[{at}].containerPort")


def _check_port(port: Any, path: str) -> Iterator[FieldCause]:
    if not isinstance(port, int) or not 0 < port < 65536:
        yield invalid_value(path, port, "must be between 1 and 65535, inclusive")


def _check_workload(value: Object, old: Object | None) -> Iterator[FieldCause]:
    spec = value["spec"]
    selector = spec.get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != text for key, text in wanted.items()):
        yield invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _check_pod_spec(template.get("spec") or {}, "spec.template.spec")
    replicas = spec.get("replicas", 1)
    if replicas < 0:
        yield invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
    if old and old["spec"].get("selector") != spec.get("selector"):
        yield invalid_value("spec.selector", selector, "field is immutable")


def _check_service(value: Object, old: Object | None) -> Iterator[FieldCause]:
    spec = value.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    allowed = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if kind not in allowed:
        yield unsupported_value("spec.type", kind, allowed)
    ports = spec.get("ports") or ()
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    names: set[str] = set()
    for at, port in enumerate(ports):
        yield from _check_service_port(port, f"spec.ports[{at}]", len(ports) > 1, names)
    if old and kind != "ExternalName" and (before := old["spec"].get("clusterIP")) and before != spec.get("clusterIP"):
        yield invalid_value("spec.clusterIPs[0]", [spec.get("clusterIP")], "may not change once set")
    address = spec.get("clusterIP")
    if address and address != "None" and not _is_address(address):
        yield invalid_value(
            "spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        )


def _check_service_port(port: Object, path: str, several: bool, names: set[str]) -> Iterator[FieldCause]:
    yield from _check_port(port.get("port"), f"{path}.port")
    name = port.get("name") or ""
    if several and not name:
        yield required(f"{path}.name")
    if name and not _LABEL.fullmatch(name):
        yield invalid_value(f"{path}.name", name, _LABEL_WHY)
    if name and name in names:
        yield FieldCause(f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
    names.add(name)
    if port.get("protocol", "TCP") not in ("TCP", "UDP", "SCTP"):
        yield unsupported_value(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_config(value: Object, old: Object | None) -> Iterator[FieldCause]:
    for field in ("data", "binaryData"):
        for key in value.get(field) or {}:
            if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key):
                why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                yield invalid_value(f"{field}[{key}]", key, why)
    if old and old.get("immutable"):
        for field in ("data", "binaryData"):
            if value.get(field) != old.get(field):
                yield forbidden_value(field, "field is immutable when `immutable` is set")
    if old and "type" in old and value.get("type") != old["type"]:
        yield invalid_value("type", value.get("type"), "field is immutable")


def _check_binding(value: Object, old: Object | None) -> Iterator[FieldCause]:
    if old and value.get("roleRef") != old.get("roleRef"):
        yield invalid_value("roleRef", value.get("roleRef"), "cannot change roleRef")


def _check_definition(value: Object, old: Object | None) -> Iterator[FieldCause]:
    spec, name = value["spec"], value["metadata"]["name"]
    expected = f"{spec['names'].get('plural')}.{spec['group']}"
    if name != expected:
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if sum(1 for version in spec["versions"] if version.get("storage")) != 1:
        yield invalid_value("spec.versions", "", "must have exactly one version marked as storage version")
    for at, version in enumerate(spec["versions"]):
        path, schema = f"spec.versions[{at}].schema.openAPIV3Schema", (version.get("schema") or {})
        if not schema.get("openAPIV3Schema"):
            yield required(path, "schemas are required")
        elif problem := schema_problem(schema["openAPIV3Schema"]):
            yield invalid_value(path, "", problem)
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield unsupported_value("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"))


_CHECKS: dict[str, Callable[[Object, Object | None], Iterator[FieldCause]]] = {
    "pods": _check_pod,
    "services": _check_service,
    "configmaps": _check_config,
    "secrets": _check_config,
    "deployments.apps": _check_workload,
    "replicasets.apps": _check_workload,
    "statefulsets.apps": _check_workload,
    "daemonsets.apps": _check_workload,
    "rolebindings.rbac.authorization.k8s.io": _check_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _check_binding,
    "customresourcedefinitions.apiextensions.k8s.io": _check_definition,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": check_webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": check_webhooks,
    "poddisruptionbudgets.policy": check_budget,
    "horizontalpodautoscalers.autoscaling": check_autoscaler,
}
