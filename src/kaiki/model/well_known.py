"""Names that Istio and the Gateway API agreed on, and that many places look for."""

ROOT_NAMESPACE = "istio-system"
"""Where objects stand that are for the whole mesh (Istio's `rootNamespace`)."""

GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
"""On the Deployment, Service and pods of a Gateway, and the Gateway's name."""

GATEWAY_CLASS_LABEL = "gateway.networking.k8s.io/gateway-class-name"
"""On the same, and the name of its class."""
