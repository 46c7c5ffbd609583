"""The Gateway API → the model that VirtualServices, Gateways and DestinationRules become; and the status of objects.

    GatewayClass, Gateway, ListenerSet ─▶ listeners ─┐
    HTTPRoute, GRPCRoute, TLSRoute, TCPRoute ────────┼─▶ attachment ─▶ rules ─▶ model.Gateway, model.VirtualService
    ReferenceGrant, Secrets, ConfigMaps, Services ───┘                     └──▶ statuses
    BackendTLSPolicy ─▶ model.DestinationPolicy

Each listener becomes a `model.Gateway` of its own, and each of its host names a `model.VirtualService` whose rules, of
all routes attached there, are in the order of precedence. Routes of Services (mesh) become VirtualServices of sidecars.
"""
