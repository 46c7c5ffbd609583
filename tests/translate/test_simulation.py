"""Behaviour, not bytes: which cluster, which status, and which object decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.finding import ObjectRef
from kaiki.model.memo import Memo
from kaiki.translate.generate import generate
from kaiki.translate.simulation import Outcome, Request, Verdict, address_of, simulate

CASES = Path(__file__).with_name("cases")


def run(source: str, request: Request) -> Outcome:
    """Simulate in the mesh of a YAML text, or of the case of that name; addresses are looked up."""
    text = (CASES / source / "in.yaml").read_text() if "\n" not in source else source
    documents = [document for document in yaml.safe_load_all(text) if document]
    snapshot = interpret(small_mesh.inputs(documents)).snapshot
    (proxy,) = small_mesh.proxies(documents)
    config = generate(snapshot, proxy, Memo())
    address = request.address or address_of(snapshot, request.host, proxy.namespace)[0]
    return simulate(config, Request(**{**_fields(request), "address": address}))


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__slots__}


def test_a_redirect_a_fixed_answer_and_a_rewrite() -> None:
    redirected = run("actions", Request("shop", 8080, "/old/x?q=1"))
    assert (redirected.verdict, redirected.status) == (Verdict.REDIRECTED, 308)
    assert redirected.location == "https://new.example.org/new?q=1"
    assert run("actions", Request("shop", 8080, "/down")).status == 503
    rewritten = run("actions", Request("shop.default", 8080, "/api/orders"))
    assert (rewritten.verdict, rewritten.host, rewritten.path) == (
        Verdict.FORWARDED,
        "internal.example.org",
        "/orders",
    )
    assert (rewritten.timeout_seconds, rewritten.retries) == (1.5, 3)
    assert run("actions", Request("shop", 8080, "/rx/a")).path == "/a/x"
    assert run("actions", Request("shop", 8080, "/else")).mirrors[0][1] == 25


def test_steps_name_the_object_and_the_field() -> None:
    outcome = run("actions", Request("shop", 8080, "/down"))
    (route,) = [step for step in outcome.steps if step.part == "route"]
    assert (route.source, route.field) == (ObjectRef("VirtualService", "default", "shop"), "spec.http[1].match[0]")
    assert [step.part for step in outcome.steps[:4]] == ["listener", "filter chain", "route table", "virtual host"]


def test_rules_of_delegates() -> None:
    user = {"x-user": "anna"}
    added = run("delegates", Request("shop", 80, "/cart/add", headers=user))
    assert added.cluster == "outbound|80||cart.team.svc.cluster.local"
    assert added.timeout_seconds == 2
    (route,) = [step for step in added.steps if step.part == "route"]
    assert (route.source, route.field) == (ObjectRef("VirtualService", "team", "cart"), "spec.http[0].match[0]")
    assert run("delegates", Request("shop", 80, "/cart/x", headers=user)).path == "/x"
    assert run("delegates", Request("shop", 80, "/cart/x")).cluster == "outbound|80||shop.default.svc.cluster.local"


def test_connections_by_weight_name_and_nowhere() -> None:
    shares = run("connection-routes", Request("db", 5432, http=False)).clusters
    assert [(share.cluster.split("|")[2], share.weight) for share in shares] == [("v1", 80), ("v2", 20)]
    secure = run("connection-routes", Request("secure", 443, server_name="x.b.example.org", http=False))
    assert secure.cluster == "outbound|443||secure.default.svc.cluster.local"
    assert any(step.source == ObjectRef("VirtualService", "default", "secure") for step in secure.steps)
    assert run("connection-routes", Request("elsewhere", 7, address="192.0.2.1", http=False)).cluster == (
        "PassthroughCluster"
    )


def test_a_gateway() -> None:
    assert run("gateway-http", Request("second.example.org", 8080)).status == 301
    assert run("gateway-http", Request("shop.example.org", 8080)).cluster.endswith("web.default.svc.cluster.local")
    assert run("gateway-http", Request("any.org", 8080, "/static/x")).verdict is Verdict.FORWARDED
    assert run("gateway-http", Request("any.org", 8080, "/nothing")).status == 404
    assert run("gateway-http", Request("any.org", 9999)).verdict is Verdict.REFUSED
    assert run("gateway-merging", Request("a.example.org", 8080, "/young")).verdict is Verdict.REFUSED
    assert run("gateway-merging", Request("a.example.org", 80, "/young")).status == 202


def test_what_is_missing_gets_503() -> None:
    outcome = run("missing-destinations", Request("shop", 8080))
    assert outcome.verdict in (Verdict.NO_ENDPOINT, Verdict.FORWARDED, Verdict.NO_ROUTE)
