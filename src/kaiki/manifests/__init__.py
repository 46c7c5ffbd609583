"""What `kaiki install` applies: the mesh as Kubernetes objects, the same on one machine and on a cluster.

    settings ──▶ base (namespace, CRDs, mesh config) + istiod + gateway + metrics store + console ──▶ list of objects

A pure function: the differences between the platforms are fields of `InstallSettings`, and the golden files of both
forms show all of them side by side. Names, labels and selectors are those users know from Istio, so that guides and
dashboards find what they look for.
"""

from kaiki.manifests.install import addon_manifests, install_manifests
from kaiki.manifests.settings import InstallSettings, Platform, Profile
from kaiki.manifests.text import write_yaml

__all__ = ["InstallSettings", "Platform", "Profile", "addon_manifests", "install_manifests", "write_yaml"]
