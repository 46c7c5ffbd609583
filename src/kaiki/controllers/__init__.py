"""Kubernetes' own controllers, for local mode: what kube-controller-manager and kube-scheduler do on a cluster.

    Deployment ──▶ ReplicaSet ──▶ Pod ──▶ (scheduler) bound ──▶ EndpointSlice ◀── Service
    StatefulSet, DaemonSet, Job ──▶ Pod
    Namespace ──▶ default ServiceAccount, kube-root-ca.crt          owners gone ──▶ garbage collection

Each controller is a pure `plan` (objects, now) → actions, and a thin runner that feeds it from caches by key.
"""
