"""AdmissionReview in, AdmissionReview out (admission.k8s.io/v1)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kaiki.admission.json_patch import json_patch
from kaiki.model.finding import Finding, Severity

Object = dict[str, Any]

Inject = Callable[[Mapping[str, Any], Mapping[str, str]], "Mapping[str, Any] | None"]
"""(pod, labels of its namespace) → the pod with its sidecar, or None when it stays as it is."""

Check = Callable[[Mapping[str, Any]], Sequence[Finding]]
"""What is wrong with an object."""


class MalformedReview(Exception):
    """The body is not an AdmissionReview with a request; the text says what is missing."""


def request_of(review: Any) -> Mapping[str, Any]:
    """The request inside a review. Raises MalformedReview."""
    if not isinstance(review, Mapping) or review.get("kind") != "AdmissionReview":
        raise MalformedReview("the body is not an AdmissionReview")
    request = review.get("request")
    if not isinstance(request, Mapping) or not request.get("uid"):
        raise MalformedReview("the AdmissionReview has no request with a uid")
    return request


def mutate_pod(request: Mapping[str, Any], inject: Inject, namespace_labels: Mapping[str, str]) -> Object:
    """Answer for a pod that is being created: a patch that adds the sidecar, or nothing."""
    pod = pod_of(request)
    injected = inject(pod, namespace_labels)
    if injected is None:
        return _answer(request, allowed=True)
    # Compared with what the API server sent: the namespace filled in by pod_of is not part of the object.
    operations = json_patch(request["object"], _as_sent(injected, request["object"]))
    if not operations:
        return _answer(request, allowed=True)
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return _answer(request, allowed=True, patchType="JSONPatch", patch=patch)


def pod_of(request: Mapping[str, Any]) -> Object:
    """The pod of a request, with its namespace, which a pod made by a controller may not carry yet.

    Raises MalformedReview.
    """
    pod = request.get("object")
    if not isinstance(pod, Mapping):
        raise MalformedReview("the request has no object")
    metadata = dict(pod.get("metadata") or {})
    metadata["namespace"] = metadata.get("namespace") or str(request.get("namespace") or "")
    return {**pod, "metadata": metadata}


def _as_sent(injected: Mapping[str, Any], sent: Mapping[str, Any]) -> Object:
    metadata = dict(injected.get("metadata") or {})
    if "namespace" not in (sent.get("metadata") or {}):
        metadata.pop("namespace", None)
    return {**injected, "metadata": metadata}


def validate_object(request: Mapping[str, Any], check: Check) -> Object:
    """Answer for an object of ours: errors deny it, all else is told to who wrote it."""
    obj = request.get("object")
    if request.get("operation") == "DELETE" or not isinstance(obj, Mapping):
        return _answer(request, allowed=True)
    findings = check(obj)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    warnings = [str(finding) for finding in findings if finding.severity is not Severity.ERROR]
    if not errors:
        return _answer(request, allowed=True, **({"warnings": warnings} if warnings else {}))
    status = {"code": 422, "reason": "Invalid", "message": "\n".join(map(str, errors))}
    return _answer(request, allowed=False, status=status, **({"warnings": warnings} if warnings else {}))


def allow(request: Mapping[str, Any]) -> Object:
    """Answer of a webhook that only looks."""
    return _answer(request, allowed=True)


def refusal(request: Mapping[str, Any], message: str) -> Object:
    """Answer when the webhook itself failed: the object is refused with the reason rather than stored half-done."""
    return _answer(request, allowed=False, status={"code": 500, "reason": "InternalError", "message": message})


def _answer(request: Mapping[str, Any], *, allowed: bool, **more: Any) -> Object:
    response = {"uid": request["uid"], "allowed": allowed, **more}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
