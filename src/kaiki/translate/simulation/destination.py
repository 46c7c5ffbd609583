"""What the sidecars say to which a proxy sends a request: their certificates count as good, their policies are asked.

One pod of every workload among the endpoints is asked. If all refuse, so does the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kaiki.model.memo import Memo
from kaiki.model.proxy import Proxy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.translate.generate import generate
from kaiki.translate.simulation.codes import Code
from kaiki.translate.simulation.simulate import simulate_inbound
from kaiki.translate.simulation.values import Outcome, Request, Step, Verdict

_MOST_WORKLOADS = 10
_SHOWN = ("policy", "filter")


def with_destinations(snapshot: MeshSnapshot, proxy: Proxy, request: Request, outcome: Outcome) -> Outcome:
    """The outcome with the decisions at the other end, as far as there are any."""
    if outcome.verdict is not Verdict.FORWARDED or not snapshot.access_policies:
        return outcome
    steps: list[Step] = []
    ends: list[Outcome] = []
    for workload, port in _called(snapshot, outcome):
        arriving = _arriving(request, outcome, proxy, workload, port)
        end = simulate_inbound(generate(snapshot, Proxy.of(workload, workload.proxy), Memo()), arriving)
        ends.append(end)
        decided = [step for step in end.steps if step.part in _SHOWN]
        if decided or end.verdict is Verdict.REFUSED:
            asked = Step("destination", f"{workload.name}.{workload.namespace}", Code.DESTINATION_ASKED)
            steps += [asked, *(decided or end.steps[-1:])]
    if not steps:
        return outcome
    refused = all(end.verdict is Verdict.REFUSED for end in ends)
    verdict, status = (Verdict.REFUSED, ends[0].status) if refused else (outcome.verdict, outcome.status)
    return replace(outcome, verdict=verdict, status=status, steps=(*outcome.steps, *steps))


def _called(snapshot: MeshSnapshot, outcome: Outcome) -> Iterator[tuple[WorkloadInstance, int]]:
    """A pod with a sidecar of every workload the request may reach, and the port it is called at."""
    wanted = dict.fromkeys(endpoint for share in outcome.clusters for endpoint in share.endpoints)
    pods = {item.address: item for item in snapshot.workloads.values() if item.address}
    seen: set[tuple[str, str, str]] = set()
    for endpoint in wanted:
        address, _, port = endpoint.rpartition(":")
        pod = pods.get(address)
        if pod is None or pod.proxy is not ProxyKind.SIDECAR or len(seen) == _MOST_WORKLOADS:
            continue
        key = pod.namespace, pod.metric_labels.workload, port
        if key not in seen:
            seen.add(key)
            yield pod, int(port)


def _arriving(request: Request, outcome: Outcome, proxy: Proxy, workload: WorkloadInstance, port: int) -> Request:
    """The request as the other end sees it."""
    mutual = workload.takes_mutual_tls(port)
    protocols = ("istio-http/1.1", "istio") if request.http else ("istio",)
    return replace(
        request,
        host=outcome.host or request.host,
        path=outcome.path or request.path,
        port=port,
        address=workload.address,
        source_address=proxy.address,
        server_name=outcome.cluster.replace("outbound|", "outbound_.").replace("|", "_.") if mutual else "",
        tls=mutual,
        principal=str(proxy.identity) if mutual else "",
        application_protocols=protocols if mutual else (),
    )
