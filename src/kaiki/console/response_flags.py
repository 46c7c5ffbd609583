"""Envoy's response flags in words: why a proxy answered itself, or an answer did not come. In English and Korean.

Flags and their meaning: Envoy, "Access logging", %RESPONSE_FLAGS%.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "DC": (
            "The client closed the connection before the answer was there.",
            "응답이 도착하기 전에 클라이언트가 연결을 닫았습니다.",
        ),
        "DF": ("The name of the server could not be resolved.", "서버 이름을 DNS로 찾지 못했습니다."),
        "DI": ("A delay was injected on purpose.", "장애 주입 설정이 일부러 지연시켰습니다."),
        "DO": ("The connection was dropped because the proxy is overloaded.", "프록시 과부하로 연결이 끊겼습니다."),
        "DPE": ("The request breaks the HTTP protocol.", "요청이 HTTP 규약에 맞지 않습니다."),
        "DR": ("The client reset the request.", "클라이언트가 요청을 재설정(reset)했습니다."),
        "DT": (
            "The request, or its connection, lasted longer than allowed.",
            "요청 또는 연결이 허용된 시간보다 오래 걸렸습니다.",
        ),
        "FI": (
            "A fault was injected on purpose: the proxy answered itself.",
            "장애 주입 설정에 따라 프록시가 대신 응답했습니다.",
        ),
        "IH": (
            "A header with a strictly checked value had another one.",
            "엄격히 검사하는 헤더에 잘못된 값이 들어 있습니다.",
        ),
        "LH": ("The health check of the proxy itself failed.", "프록시 자체의 상태 검사가 실패했습니다."),
        "LR": ("The proxy reset the connection.", "프록시가 연결을 재설정했습니다."),
        "NC": (
            "The route leads to a cluster the proxy does not know.",
            "라우트가 가리키는 클러스터를 프록시가 모릅니다.",
        ),
        "NFCF": (
            "The cluster was asked for on demand and not found.",
            "필요할 때 조회한 클러스터를 찾지 못했습니다.",
        ),
        "NR": ("No route matches the request.", "요청과 일치하는 라우트가 없습니다."),
        "OM": ("The overload manager ended the request.", "프록시 과부하 관리자가 요청을 끝냈습니다."),
        "RFCF": (
            "An answer from the cache replaced that of the server.",
            "서버 대신 캐시에서 응답했습니다.",
        ),
        "RL": ("A rate limit refused the request.", "요청 수 제한에 걸려 거부되었습니다."),
        "RLSE": ("The rate limit service did not answer properly.", "요청 수 제한 서비스에 오류가 있었습니다."),
        "SI": ("The stream was idle for too long.", "스트림이 너무 오래 쉬었습니다."),
        "UAEX": (
            "An authorization service outside refused the request.",
            "외부 권한 부여 서비스가 요청을 거부했습니다.",
        ),
        "UC": (
            "The server closed the connection in the middle.",
            "서버가 도중에 연결을 닫았습니다.",
        ),
        "UF": (
            "No connection to the server came about: it refuses, cannot be reached, or the TLS handshake failed.",
            "서버에 연결하지 못했습니다. 거부되었거나, 닿지 않거나, TLS 핸드셰이크가 실패했습니다.",
        ),
        "UH": (
            "There is no healthy endpoint behind the destination.",
            "목적지에 정상인 엔드포인트가 없습니다.",
        ),
        "UMSDR": (
            "The request or its stream lasted longer than the longest time allowed.",
            "요청이나 스트림이 최대 허용 시간을 넘었습니다.",
        ),
        "UO": (
            "A circuit breaker is open: too many connections or requests at a time.",
            "서킷 브레이커가 열렸습니다. 동시 연결이나 요청이 너무 많습니다.",
        ),
        "UPE": ("The answer of the server breaks the HTTP protocol.", "서버의 응답이 HTTP 규약에 맞지 않습니다."),
        "UR": ("The server reset the request.", "서버가 요청을 재설정(reset)했습니다."),
        "URX": (
            "All retries, or connection attempts, were used up.",
            "재시도나 연결 시도를 모두 썼습니다.",
        ),
        "UT": ("The server did not answer in time.", "서버가 제한 시간 안에 응답하지 않았습니다."),
    }
)
_DENIED = (
    "An authorization policy refused the request.",
    "권한 부여 정책이 요청을 거부했습니다.",
)
_JWT = ("The request's token (JWT) is missing or not valid.", "요청의 토큰(JWT)이 없거나 올바르지 않습니다.")
LANGUAGES = ("en", "ko")


def explain_flag(flag: str, language: str = "en") -> str:
    """The reason behind one flag; the flag itself where it is not known."""
    return REASONS[flag][LANGUAGES.index(language)] if flag in REASONS else flag


def explain_flags(flags: str, details: str, language: str = "en") -> list[dict[str, str]]:
    """[{flag, text}] of a log entry; a denial by policy has no flag, it is in the response code's details."""
    place = LANGUAGES.index(language)
    found = [{"flag": flag, "text": explain_flag(flag, language)} for flag in flags.split(",") if flag not in ("-", "")]
    if details.startswith("rbac_access_denied"):
        found.append({"flag": "", "text": _DENIED[place]})
    elif details.startswith("jwt_authn_access_denied"):
        found.append({"flag": "", "text": _JWT[place]})
    return found
