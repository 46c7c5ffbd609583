"""The files in a container's /etc that make names work: resolv.conf, hosts, hostname, nsswitch.conf. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaiki.runtime.sandbox import GATEWAY

Object = Mapping[str, Any]
_DOMAIN = "cluster.local"
_MAXIMUM_NAMESERVERS = 3

# `files dns` and nothing else: name service caches and mDNS would ask the host, which does not know the mesh.
NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\n"


def has_sidecar(pod: Object) -> bool:
    """Whether a proxy captures what the pod's containers send: only to those do names of the mesh mean anything."""
    spec = pod.get("spec") or {}
    names = {one.get("name") for one in spec.get("initContainers") or ()}
    return {"istio-init", "istio-proxy"} <= names


def resolv_conf(pod: Object, server: str = GATEWAY) -> str:
    """/etc/resolv.conf by the pod's `dnsPolicy` and `dnsConfig`, as the kubelet writes it; `server` is ours."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    namespace = pod["metadata"].get("namespace", "default")
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    nameservers = [] if policy == "None" else [server]
    clusterwide = policy in ("ClusterFirst", "ClusterFirstWithHostNet")
    search = [f"{namespace}.svc.{_DOMAIN}", f"svc.{_DOMAIN}", _DOMAIN] if clusterwide else []
    options: dict[str, str | None] = {"ndots": "5"} if clusterwide else {}
    extra = spec.get("dnsConfig") or {}
    nameservers += extra.get("nameservers") or []
    search += extra.get("searches") or []
    options |= {one["name"]: one.get("value") for one in extra.get("options") or ()}
    lines = [f"search {' '.join(dict.fromkeys(search))}"] if search else []
    lines += [f"nameserver {one}" for one in list(dict.fromkeys(nameservers))[:_MAXIMUM_NAMESERVERS]]
    if options:
        words = [name if value is None else f"{name}:{value}" for name, value in options.items()]
        lines.append(f"options {' '.join(words)}")
    return "\n".join(lines) + "\n"


def host_name(pod: Object) -> str:
    """What the pod calls itself."""
    return str((pod.get("spec") or {}).get("hostname") or pod["metadata"]["name"])[:63]


def hosts_file(pod: Object, address: str) -> str:
    """/etc/hosts with the pod's own name and its `hostAliases`."""
    name = host_name(pod)
    spec = pod.get("spec") or {}
    names = [name]
    if spec.get("subdomain"):
        namespace = pod["metadata"].get("namespace", "default")
        names.insert(0, f"{name}.{spec['subdomain']}.{namespace}.svc.{_DOMAIN}")
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", f"{address}\t{' '.join(names)}"]
    lines += [f"{one['ip']}\t{' '.join(one.get('hostnames') or ())}" for one in spec.get("hostAliases") or ()]
    return "\n".join(lines) + "\n"
