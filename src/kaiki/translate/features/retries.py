"""Retries: what is tried again, how often, and not at the endpoint that just failed."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2

from kaiki.model.route import Retries
from kaiki.translate.encode import duration, pack, pack_empty

DEFAULT_CONDITIONS = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_SELECTION_ATTEMPTS = 5
_ATTEMPTS_PER_PRIORITY = 2
DEFAULT_RETRIES = Retries()


def set_retries(action: route_components_pb2.RouteAction, retries: Retries | None) -> None:
    """Without a policy of the user's, two attempts on what is safe to repeat (Istio's default)."""
    wanted = retries or DEFAULT_RETRIES
    if wanted.attempts <= 0:
        return
    conditions, statuses = _split(wanted.retry_on)
    policy = action.retry_policy
    policy.retry_on = conditions
    policy.retriable_status_codes.extend(statuses)
    policy.num_retries.value = wanted.attempts
    if wanted.ignore_previous_hosts:
        predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.CopyFrom(pack_empty(_PREVIOUS_HOSTS))
        policy.host_selection_retry_max_attempts = _SELECTION_ATTEMPTS
    if wanted.retry_remote_localities:
        _leave_failed_priorities(policy)
    if wanted.per_try_timeout_seconds is not None:
        policy.per_try_timeout.CopyFrom(duration(wanted.per_try_timeout_seconds))
    if wanted.backoff_seconds:
        policy.retry_back_off.base_interval.CopyFrom(duration(wanted.backoff_seconds))


def _leave_failed_priorities(policy: route_components_pb2.RetryPolicy) -> None:
    """Try other localities: after two attempts in a row, those priorities that were tried are left out."""
    from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

    config = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=_ATTEMPTS_PER_PRIORITY)
    policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
    policy.retry_priority.typed_config.CopyFrom(pack(config))


def _split(retry_on: str) -> tuple[str, list[int]]:
    """Conditions and status codes: numbers among the conditions are codes to retry (Istio's form)."""
    if not retry_on:
        return DEFAULT_CONDITIONS, [503]
    parts = [part.strip() for part in retry_on.split(",") if part.strip()]
    statuses = [int(part) for part in parts if part.isdigit()]
    conditions = [part for part in parts if not part.isdigit()]
    if statuses and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    return ",".join(conditions), statuses
