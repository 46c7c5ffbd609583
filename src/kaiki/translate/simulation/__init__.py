"""What a proxy would do with a request, by its generated configuration alone: no Envoy, no network.

    simulate(config: ProxyConfig, request: Request) -> Outcome

A `Request(host, port, path="/", method="GET", headers={}, address="", server_name="", tls=False, http=True)` goes from
listener → filter chain → route table → virtual host → route → cluster → endpoints. An `Outcome` has the `verdict`
(forwarded, answered, redirected, no route, refused, no endpoint), the `status` the proxy itself answers, the `clusters`
with their weights and endpoints, and `steps`: each with the name of what decided and the object and field it comes from
(`ObjectRef`, `spec.http[0]`), read from the metadata that translation leaves in what it generates.

`address_of(snapshot, host, namespace)` gives the destination IP and full name clients in a namespace mean by a host.
AuthorizationPolicies are asked, at the proxy and (by `explain_request`) where the request arrives. Other filters that
may refuse (tokens, rate limits) are named as steps and assumed to let the request pass; shares by percentage (faults
below 100 %, mirrors) are said, not drawn.

    from kaiki.translate.simulation import Request, Verdict, simulate
    outcome = simulate(generate(snapshot, proxy, memo), Request(host="reviews", port=9080))
    outcome.cluster == "outbound|9080|v1|reviews.default.svc.cluster.local"
"""

from kaiki.translate.simulation.codes import Code
from kaiki.translate.simulation.names import address_of
from kaiki.translate.simulation.simulate import simulate
from kaiki.translate.simulation.values import Outcome, Request, Share, Step, Verdict

__all__ = ["Code", "Outcome", "Request", "Share", "Step", "Verdict", "address_of", "simulate"]
