"""The columns of the built-in kinds, as `kubectl get` shows them on any cluster.

`PRINTERS` maps a kind to its column names (`+` wide only, `#` a number) and a function from object to cells.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kaiki.apiserver.autoscaling import targets
from kaiki.apiserver.durations import shorten, since
from kaiki.apiserver.pod_printer import NONE, pod_cells

Object = dict[str, Any]


def _name(value: Object) -> str:
    return str(value["metadata"]["name"])


def _age(value: Object) -> str:
    return since(value["metadata"].get("creationTimestamp") or "")


def _status(value: Object) -> Object:
    return value.get("status") or {}


def _spec(value: Object) -> Object:
    return value.get("spec") or {}


def _selector(selector: Object | None) -> str:
    selector = selector or {}
    plain = selector.get("matchLabels", selector if "matchExpressions" not in selector else {}) or {}
    return ",".join(f"{key}={text}" for key, text in sorted(plain.items())) or NONE


def _containers(template: Object) -> list[str]:
    containers = (template.get("spec") or {}).get("containers") or ()
    return [",".join(each["name"] for each in containers), ",".join(each.get("image", "") for each in containers)]


def _service(value: Object) -> list[Any]:
    spec = _spec(value)
    ports = [
        f"{port['port']}:{port['nodePort']}/{port.get('protocol', 'TCP')}"
        if port.get("nodePort")
        else f"{port['port']}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    ]
    address = spec.get("clusterIP") or NONE
    return [
        _name(value),
        spec.get("type", "ClusterIP"),
        address,
        _external_address(value),
        ",".join(ports) or NONE,
        _age(value),
        _selector(spec.get("selector")),
    ]


def _external_address(value: Object) -> str:
    spec = _spec(value)
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    given = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        ingress = (_status(value).get("loadBalancer") or {}).get("ingress") or ()
        given = [each.get("ip") or each.get("hostname") or "" for each in ingress] + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or NONE


def _deployment(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    wide = [*_containers(spec.get("template") or {}), _selector(spec.get("selector"))]
    return [_name(value), ready, *counts, _age(value), *wide]


def _replica_set(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    counts = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    wide = [*_containers(spec.get("template") or {}), _selector(spec.get("selector"))]
    return [_name(value), *counts, _age(value), *wide]


def _stateful_set(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    return [_name(value), ready, _age(value), *_containers(spec.get("template") or {})]


def _daemon_set(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    template = spec.get("template") or {}
    nodes = _selector((template.get("spec") or {}).get("nodeSelector"))
    wide = [*_containers(template), _selector(spec.get("selector"))]
    return [_name(value), *(status.get(name, 0) for name in names), nodes, _age(value), *wide]


def _job(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    finished = {each["type"] for each in status.get("conditions") or () if each.get("status") == "True"}
    state = "Complete" if "Complete" in finished else "Failed" if "Failed" in finished else "Running"
    done = f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"
    wide = [*_containers(spec.get("template") or {}), _selector(spec.get("selector"))]
    return [_name(value), state, done, _duration(status), _age(value), *wide]


def _duration(status: Object) -> str:
    """From the start of a Job to its end, or to now."""
    if not status.get("startTime"):
        return ""
    if not status.get("completionTime"):
        return since(status["startTime"])
    took = datetime.fromisoformat(status["completionTime"]) - datetime.fromisoformat(status["startTime"])
    return shorten(max(0, int(took.total_seconds())))


def _node(value: Object) -> list[Any]:
    status, labels = _status(value), value["metadata"].get("labels") or {}
    info = status.get("nodeInfo") or {}
    ready: Object = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    state = {"True": "Ready", "False": "NotReady"}.get(ready.get("status", ""), "Unknown")
    state += ",SchedulingDisabled" if _spec(value).get("unschedulable") else ""
    roles = sorted(key.rpartition("/")[2] for key in labels if key.startswith("node-role.kubernetes.io/"))
    addresses = {each["type"]: each["address"] for each in status.get("addresses") or ()}
    return [
        _name(value),
        state,
        ",".join(roles) or NONE,
        _age(value),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _event(value: Object) -> list[Any]:
    about = value.get("involvedObject") or value.get("regarding") or {}
    first = value.get("firstTimestamp") or value.get("deprecatedFirstTimestamp") or value.get("eventTime") or ""
    series = value.get("series") or {}
    last = series.get("lastObservedTime") or value.get("lastTimestamp") or value.get("deprecatedLastTimestamp") or first
    source = value.get("source") or value.get("deprecatedSource") or {}
    component = source.get("component") or value.get("reportingComponent") or value.get("reportingController") or ""
    count = series.get("count") or value.get("count") or value.get("deprecatedCount") or 1
    return [
        since(last),
        value.get("type", ""),
        value.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        ", ".join(filter(None, (component, source.get("host")))),
        str(value.get("message") or value.get("note") or "").strip(),
        since(first),
        count,
        _name(value),
    ]


def _endpoints(value: Object) -> list[Any]:
    listed = [
        f"{address['ip']}:{port['port']}"
        for subset in value.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return [_name(value), _some(listed), _age(value)]


def _some(listed: list[str], most: int = 3) -> str:
    if not listed:
        return NONE
    return ",".join(listed[:most]) + (f" + {len(listed) - most} more..." if len(listed) > most else "")


def _endpoint_slice(value: Object) -> list[Any]:
    ports = [str(port.get("port", "*")) for port in value.get("ports") or ()]
    addresses = [address for each in value.get("endpoints") or () for address in each.get("addresses") or ()]
    return [_name(value), value.get("addressType"), _some(ports) if ports else "<unset>", _some(addresses), _age(value)]


def _autoscaler(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    target = spec.get("scaleTargetRef") or {}
    counts = [spec.get("minReplicas", 1), spec.get("maxReplicas", 0), status.get("currentReplicas", 0)]
    return [_name(value), f"{target.get('kind')}/{target.get('name')}", targets(value), *counts, _age(value)]


def _api_service(value: Object) -> list[Any]:
    service = _spec(value).get("service")
    conditions = {each["type"]: each["status"] for each in _status(value).get("conditions") or ()}
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    return [_name(value), where, conditions.get("Available", "Unknown"), _age(value)]


def _disruption_budget(value: Object) -> list[Any]:
    spec = _spec(value)
    bounds = [str(spec[key]) if key in spec else "N/A" for key in ("minAvailable", "maxUnavailable")]
    return [_name(value), *bounds, _status(value).get("disruptionsAllowed", 0), _age(value)]


def _ingress(value: Object) -> list[Any]:
    spec = _spec(value)
    hosts = ",".join(rule.get("host") or "*" for rule in spec.get("rules") or ()) or "*"
    ingress = (_status(value).get("loadBalancer") or {}).get("ingress") or ()
    addresses = ",".join(each.get("ip") or each.get("hostname") or "" for each in ingress)
    ports = "80, 443" if spec.get("tls") else "80"
    return [_name(value), spec.get("ingressClassName") or NONE, hosts, addresses, ports, _age(value)]


def _claim(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    modes = ",".join("".join(word[0] for word in _words(mode)) for mode in spec.get("accessModes") or ())
    capacity = (status.get("capacity") or {}).get("storage", "")
    kind = spec.get("storageClassName", "")
    state = status.get("phase", "Pending")
    rest = [spec.get("volumeAttributesClassName") or "<unset>", _age(value), spec.get("volumeMode", "Filesystem")]
    return [_name(value), state, spec.get("volumeName", ""), capacity, modes, kind, *rest]


def _words(text: str) -> list[str]:
    words: list[str] = []
    for letter in text:
        if letter.isupper() or not words:
            words.append(letter)
        else:
            words[-1] += letter
    return words


def _binding(value: Object) -> list[Any]:
    role = value.get("roleRef") or {}
    by: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in value.get("subjects") or ():
        prefix = f"{subject.get('namespace')}/" if subject.get("kind") == "ServiceAccount" else ""
        by.setdefault(subject.get("kind", ""), []).append(prefix + str(subject.get("name")))
    wide = [", ".join(by[each]) for each in ("User", "Group", "ServiceAccount")]
    return [_name(value), f"{role.get('kind')}/{role.get('name')}", _age(value), *wide]


def _signing_request(value: Object) -> list[Any]:
    spec, status = _spec(value), _status(value)
    seconds = spec.get("expirationSeconds")
    states = [each["type"] for each in status.get("conditions") or ()]
    states += ["Issued"] if status.get("certificate") else []
    asked = shorten(seconds) if seconds else NONE
    return [
        _name(value),
        _age(value),
        spec.get("signerName"),
        spec.get("username"),
        asked,
        ",".join(states) or "Pending",
    ]


def _quota(value: Object) -> list[Any]:
    hard, used = _spec(value).get("hard") or {}, _status(value).get("used") or {}
    listed = {key: f"{key}: {used.get(key, 0)}/{amount}" for key, amount in sorted(hard.items())}
    requests = [text for key, text in listed.items() if not key.startswith("limits.")]
    limits = [text for key, text in listed.items() if key.startswith("limits.")]
    return [_name(value), ", ".join(requests), ", ".join(limits), _age(value)]


_WORKLOAD = ("+Containers", "+Images", "+Selector")
PRINTERS: dict[str, tuple[tuple[str, ...], Callable[[Object], list[Any]]]] = {
    "pods": (
        ("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
        pod_cells,
    ),
    "replicationcontrollers": (("Name", "#Desired", "#Current", "#Ready", "Age", *_WORKLOAD), _replica_set),
    "certificatesigningrequests.certificates.k8s.io": (
        ("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
        _signing_request,
    ),
    "services": (("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"), _service),
    "deployments.apps": (("Name", "Ready", "#Up-to-date", "#Available", "Age", *_WORKLOAD), _deployment),
    "replicasets.apps": (("Name", "#Desired", "#Current", "#Ready", "Age", *_WORKLOAD), _replica_set),
    "statefulsets.apps": (("Name", "Ready", "Age", "+Containers", "+Images"), _stateful_set),
    "daemonsets.apps": (
        ("Name", "#Desired", "#Current", "#Ready", "#Up-to-date", "#Available", "Node Selector", "Age", *_WORKLOAD),
        _daemon_set,
    ),
    "jobs.batch": (("Name", "Status", "Completions", "Duration", "Age", *_WORKLOAD), _job),
    "nodes": (
        (
            "Name", "Status", "Roles", "Age", "Version",
            "+Internal-IP", "+External-IP", "+OS-Image", "+Kernel-Version", "+Container-Runtime",
        ),
        _node,
    ),
    "namespaces": (
        ("Name", "Status", "Age"),
        lambda value: [_name(value), _status(value).get("phase", "Active"), _age(value)],
    ),
    "configmaps": (
        ("Name", "#Data", "Age"),
        lambda value: [_name(value), len(value.get("data") or {}) + len(value.get("binaryData") or {}), _age(value)],
    ),
    "secrets": (
        ("Name", "Type", "#Data", "Age"),
        lambda value: [_name(value), value.get("type", "Opaque"), len(value.get("data") or {}), _age(value)],
    ),
    "serviceaccounts": (
        ("Name", "#Secrets", "Age"),
        lambda value: [_name(value), len(value.get("secrets") or ()), _age(value)],
    ),
    "endpoints": (("Name", "Endpoints", "Age"), _endpoints),
    "endpointslices.discovery.k8s.io": (("Name", "AddressType", "Ports", "Endpoints", "Age"), _endpoint_slice),
    "events": (
        (
            "Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message",
            "+First Seen", "+Count", "+Name",
        ),
        _event,
    ),
    "events.events.k8s.io": (
        (
            "Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message",
            "+First Seen", "+Count", "+Name",
        ),
        _event,
    ),
    "persistentvolumeclaims": (
        (
            "Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age",
            "+VolumeMode",
        ),
        _claim,
    ),
    "resourcequotas": (("Name", "Request", "Limit", "Age"), _quota),
    "limitranges": (("Name", "Created At"), lambda value: [_name(value), value["metadata"]["creationTimestamp"]]),
    "leases.coordination.k8s.io": (
        ("Name", "Holder", "Age"),
        lambda value: [_name(value), _spec(value).get("holderIdentity", ""), _age(value)],
    ),
    "roles.rbac.authorization.k8s.io": (
        ("Name", "Created At"),
        lambda value: [_name(value), value["metadata"]["creationTimestamp"]],
    ),
    "clusterroles.rbac.authorization.k8s.io": (
        ("Name", "Created At"),
        lambda value: [_name(value), value["metadata"]["creationTimestamp"]],
    ),
    "rolebindings.rbac.authorization.k8s.io": (
        ("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
        _binding,
    ),
    "clusterrolebindings.rbac.authorization.k8s.io": (
        ("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
        _binding,
    ),
    "componentstatuses": (
        ("Name", "Status", "Message", "Error"),
        lambda value: [_name(value), "Healthy", value["conditions"][0]["message"], ""],
    ),
    "apiservices.apiregistration.k8s.io": (("Name", "Service", "Available", "Age"), _api_service),
    "horizontalpodautoscalers.autoscaling": (
        ("Name", "Reference", "Targets", "MinPods", "MaxPods", "#Replicas", "Age"),
        _autoscaler,
    ),
    "poddisruptionbudgets.policy": (
        ("Name", "Min Available", "Max Unavailable", "#Allowed Disruptions", "Age"),
        _disruption_budget,
    ),
    "networkpolicies.networking.k8s.io": (
        ("Name", "Pod-Selector", "Age"),
        lambda value: [_name(value), _selector(_spec(value).get("podSelector")), _age(value)],
    ),
    "ingresses.networking.k8s.io": (("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "priorityclasses.scheduling.k8s.io": (
        ("Name", "#Value", "Global-Default", "Age", "PreemptionPolicy"),
        lambda value: [
            _name(value),
            value.get("value", 0),
            bool(value.get("globalDefault")),
            _age(value),
            value.get("preemptionPolicy", "PreemptLowerPriority"),
        ],
    ),
    "customresourcedefinitions.apiextensions.k8s.io": (
        ("Name", "Created At"),
        lambda value: [_name(value), value["metadata"]["creationTimestamp"]],
    ),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": (
        ("Name", "#Webhooks", "Age"),
        lambda value: [_name(value), len(value.get("webhooks") or ()), _age(value)],
    ),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": (
        ("Name", "#Webhooks", "Age"),
        lambda value: [_name(value), len(value.get("webhooks") or ()), _age(value)],
    ),
}  # fmt: skip
