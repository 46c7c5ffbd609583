"""Istio's networking API: one module per kind. The types are complete, and the CRDs are generated from them."""
