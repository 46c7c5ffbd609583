"""API objects → MeshSnapshot + findings: merging, scoping, precedence, conflicts.

Pods, Services, EndpointSlices ──registry──▶ services, endpoints, workloads
VirtualServices ──routes──▶ routes        DestinationRules ──destinations──▶ policies and subsets
Gateways ──gateways──▶ servers            and for each of them: findings
"""
