"""RequestAuthentication: which tokens requests may carry (Istio, "RequestAuthentication" reference)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, Duration, PolicyTargetReference, WorkloadSelector


class JWTHeader(ApiType, frozen=True):
    """A header that holds a token, and what stands before it there."""

    name: Annotated[str, Meta(min_length=1)]
    prefix: str = ""


class ClaimToHeader(ApiType, frozen=True):
    """A claim that is handed on as a header."""

    header: Annotated[str, Meta(min_length=1)]
    claim: Annotated[str, Meta(min_length=1)]


class JWTRule(ApiType, frozen=True):
    """The tokens of one issuer: how they are checked, where they are, and what is handed on."""

    ONE_OF = (("jwksUri", "jwks"),)

    issuer: Annotated[str, Meta(min_length=1)]
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    from_headers: tuple[JWTHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    forward_original_token: bool | None = None
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    timeout: Duration | None = None
    space_delimited_claims: tuple[str, ...] = ()


class RequestAuthenticationSpec(ApiType, frozen=True):
    """Which tokens requests may carry: a wrong one is refused, none is let through."""

    ONE_OF = (("selector", "targetRef", "targetRefs"),)
    NOT_IN_FORCE = {"jwtRules": "Check tokens in the application."}

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    jwt_rules: tuple[JWTRule, ...] = ()
