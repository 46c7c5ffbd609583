"""The functions Kubernetes adds to CEL: text, lists, regular expressions, URLs, addresses, quantities, formats.

Values of Kubernetes's own types (a URL, an address) are small maps here: expressions only ever hand them on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from kaiki.apiserver.expressions import optional
from kaiki.apiserver.quantities import parse_quantity

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_FORMATS = {
    "dns1123Label": (_LABEL, 63),
    "dns1123Subdomain": (rf"{_LABEL}(\.{_LABEL})*", 253),
    "dns1035Label": (r"[a-z]([-a-z0-9]*[a-z0-9])?", 63),
    "qualifiedName": (r"([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", 317),
    "labelValue": (r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", 63),
    "uuid": (r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", 36),
}


def _is(read: Callable[[str], Any]) -> Callable[..., bool]:
    def check(text: Any) -> bool:
        try:
            read(text)
        except (ValueError, InvalidOperation):
            return False
        return True

    return check


def _split_url(text: str) -> SplitResult:
    parts = urlsplit(text)
    if not (parts.scheme and (parts.netloc or parts.path)) and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    _ = parts.port
    return parts


def _url(text: str) -> dict[str, Any]:
    parts = _split_url(text)
    return {
        "scheme": parts.scheme,
        "host": parts.netloc.rpartition("@")[2],
        "hostname": parts.hostname or "",
        "port": str(parts.port or ""),
        "path": parts.path,
        "query": parse_qs(parts.query, keep_blank_values=True),
    }


def _address(value: Any) -> Any:
    return ipaddress.ip_address(value["ip"] if isinstance(value, dict) else value)


def _network(value: Any) -> Any:
    return ipaddress.ip_network(value["cidr"] if isinstance(value, dict) else value, strict=False)


def _contains_address(network: Any, address: Any) -> bool:
    held, asked = _network(network), _address(address)
    return bool(held.version == asked.version and asked in held)


def _contains_network(network: Any, other: Any) -> bool:
    held, asked = _network(network), _network(other)
    return bool(held.version == asked.version and asked.subnet_of(held))


def _number(value: Any) -> Decimal:
    return parse_quantity(value["quantity"] if isinstance(value, dict) else value)


def _quantity(text: str) -> dict[str, str]:
    parse_quantity(text)
    return {"quantity": str(text)}


def _compare(one: Any, other: Any) -> int:
    return int(_number(one) > _number(other)) - int(_number(one) < _number(other))


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if not 0 <= start <= end <= len(text):
        raise ValueError("index out of range")
    return text[start:end]


def _index_of(where: Any, what: Any, start: int = 0) -> int:
    if isinstance(where, str):
        return where.find(what, start)
    return next((at for at, each in enumerate(where) if each == what), -1)


def _last_index_of(where: Any, what: Any) -> int:
    if isinstance(where, str):
        return where.rfind(what)
    return next((at for at in range(len(where) - 1, -1, -1) if where[at] == what), -1)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if not separator:
        return list(text)
    return text.split(separator, count - 1 if count > 0 else -1)


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match.group() if match else ""


def _find_all(text: str, pattern: str, count: int = -1) -> list[str]:
    found = [match.group() for match in re.finditer(pattern, text)]
    return found if count < 0 else found[:count]


def _format_text(template: str, values: list[Any]) -> str:
    rest = iter(values)

    def one(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        value = next(rest)
        if isinstance(value, bool):
            return str(value).lower()
        return f"%{match.group(1)}{match.group(2)}" % value if match.group(2) in "fex" else str(value)

    return re.sub(r"%(\.\d+)?([sdfexX%])", one, template)


def _validate(form: Any, text: str) -> Any:
    """A named format's complaint about a text: none when it is as it should be."""
    name = form["format"] if isinstance(form, dict) else str(form)
    pattern, most = _FORMATS[name]
    if len(text) > most:
        return optional([f"must be no more than {most} characters"])
    return optional(None if re.fullmatch(pattern, text) else [f"must match {pattern}"])


def _form(name: str) -> Callable[..., dict[str, str]]:
    return lambda *_: {"format": name}


def _optional_field(value: Any, name: str) -> Any:
    if hasattr(value, "has_value"):
        value = value.value() if value.has_value() else {}
    return optional(value.get(name) if isinstance(value, dict) else None)


def _is_sorted(values: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))


def _greatest(*values: Any) -> Any:
    return max(values[0] if len(values) == 1 and isinstance(values[0], list) else values)


def _least(*values: Any) -> Any:
    return min(values[0] if len(values) == 1 and isinstance(values[0], list) else values)


def _sum(values: list[Any]) -> Any:
    return sum(values[1:], values[0]) if values else 0


def _part(name: str) -> Callable[..., Any]:
    return lambda url: url[name]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "charAt": lambda text, at: text[at : at + 1],
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "replace": _replace,
    "split": _split,
    "join": lambda values, separator="": separator.join(values),
    "substring": _substring,
    "trim": lambda text: text.strip(),
    "reverse": lambda value: value[::-1],
    "format": _format_text,
    "find": _find,
    "findAll": _find_all,
    "isSorted": _is_sorted,
    "sum": _sum,
    "min": _least,
    "max": _greatest,
    "math_least": _least,
    "math_greatest": _greatest,
    "distinct": lambda values: [each for at, each in enumerate(values) if each not in values[:at]],
    "flatten": lambda values: [item for each in values for item in (each if isinstance(each, list) else [each])],
    "sets_contains": lambda one, other: all(each in one for each in other),
    "sets_intersects": lambda one, other: any(each in one for each in other),
    "sets_equivalent": lambda one, other: all(x in other for x in one) and all(x in one for x in other),
    "url": _url,
    "isURL": _is(_split_url),
    "getScheme": _part("scheme"),
    "getHost": _part("host"),
    "getHostname": _part("hostname"),
    "getPort": _part("port"),
    "getEscapedPath": _part("path"),
    "getQuery": _part("query"),
    "ip": lambda text: {"ip": str(ipaddress.ip_address(text))},
    "isIP": _is(ipaddress.ip_address),
    "family": lambda address: _address(address).version,
    "isLoopback": lambda address: _address(address).is_loopback,
    "isUnspecified": lambda address: _address(address).is_unspecified,
    "isLinkLocalUnicast": lambda address: _address(address).is_link_local,
    "isGlobalUnicast": lambda address: not (_address(address).is_multicast or _address(address).is_unspecified),
    "cidr": lambda text: {"cidr": str(ipaddress.ip_network(text, strict=False))},
    "isCIDR": _is(lambda text: ipaddress.ip_network(text if "/" in text else "", strict=False)),
    "containsIP": _contains_address,
    "containsCIDR": _contains_network,
    "prefixLength": lambda network: _network(network).prefixlen,
    "masked": lambda network: {"cidr": str(_network(network))},
    "quantity": _quantity,
    "isQuantity": _is(parse_quantity),
    "isGreaterThan": lambda one, other: _compare(one, other) > 0,
    "isLessThan": lambda one, other: _compare(one, other) < 0,
    "compareTo": _compare,
    "asInteger": lambda value: int(_number(value)),
    "isInteger": lambda value: _number(value) == int(_number(value)),
    "asApproximateFloat": lambda value: float(_number(value)),
    "sign": lambda value: int(_number(value) > 0) - int(_number(value) < 0),
    "add": lambda one, other: {"quantity": str(_number(one) + (other if isinstance(other, int) else _number(other)))},
    "sub": lambda one, other: {"quantity": str(_number(one) - (other if isinstance(other, int) else _number(other)))},
    "validate": _validate,
    "optionalField": _optional_field,
    **{f"format_{name}": _form(name) for name in _FORMATS},
}
