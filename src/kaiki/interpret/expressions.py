"""A reader of CEL that only judges: what Envoy would refuse, with the whole listener it stands in, is found here.

Grammar: the Common Expression Language's definition, without messages (`Type{…}`), which Envoy's attributes never need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ATTRIBUTES = frozenset(
    (
        "request",
        "response",
        "connection",
        "upstream",
        "source",
        "destination",
        "metadata",
        "filter_state",
        "upstream_filter_state",
        "xds",
    )
)
"""The names Envoy gives a value ("Attributes")."""
_FUNCTIONS = frozenset(
    (
        *("size", "int", "uint", "double", "string", "bytes", "bool", "duration", "timestamp", "type", "has"),
        *("contains", "startsWith", "endsWith", "matches", "all", "exists", "exists_one", "map", "filter"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"),
        *("getMinutes", "getSeconds", "getMilliseconds", "re.extract", "re.capture"),
    )
)
_MACROS = frozenset(("all", "exists", "exists_one", "map", "filter"))
_WORDS = frozenset(("true", "false", "null"))
_TOKEN = re.compile(
    r"""\s+|//[^\n]*
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?[uU]?)
    |(?P<text>[rRbB]{0,2}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<word>[A-Za-z_]\w*)
    |(?P<operator>\|\||&&|==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE,
)
_LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
_DEPTH = 60


class _Refused(ValueError):
    """Why an expression is none."""


def expression_problem(text: str) -> str:
    """Why Envoy would not take an expression; empty if it would."""
    try:
        reader = _Reader(_tokens(text))
        reader.expression()
        reader.expect_end()
    except _Refused as error:
        return str(error)
    return ""


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _Refused(f"{text[place]!r} at character {place + 1} does not belong there")
        if match.lastgroup:
            found.append((match.lastgroup, match.group()))
        place = match.end()
    return found


@dataclass
class _Reader:
    tokens: list[tuple[str, str]]
    place: int = 0
    depth: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def next(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else ""

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        """The next token if it is one of those, else nothing."""
        if self.next in wanted and self.kind != "text":
            self.place += 1
            return self.tokens[self.place - 1][1]
        return ""

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise _Refused(f"{wanted!r} is missing before {self.next!r}" if self.next else f"{wanted!r} is missing")

    def expect_end(self) -> None:
        if self.place < len(self.tokens):
            raise _Refused(f"{self.next!r} does not belong there")

    def expression(self) -> None:
        self.depth += 1
        if self.depth > _DEPTH:
            raise _Refused("it is nested too deep")
        self._level(0)
        if self.take("?"):
            self._level(0)
            self.expect(":")
            self.expression()
        self.depth -= 1

    def _level(self, level: int) -> None:
        if level == len(_LEVELS):
            self._unary()
            return
        self._level(level + 1)
        while self.take(*_LEVELS[level]):
            self._level(level + 1)

    def _unary(self) -> None:
        while self.take("!", "-"):
            pass
        self._primary()
        while True:
            if self.take("."):
                self._member()
            elif self.take("["):
                self.expression()
                self.expect("]")
            else:
                return

    def _member(self) -> None:
        name = self._word()
        if self.take("("):
            self._call(name)

    def _word(self) -> str:
        if self.kind != "word":
            raise _Refused(f"a name is missing before {self.next!r}" if self.next else "a name is missing at the end")
        self.place += 1
        return self.tokens[self.place - 1][1]

    def _primary(self) -> None:
        if self.kind in ("number", "text"):
            self.place += 1
        elif self.take("("):
            self.expression()
            self.expect(")")
        elif self.take("["):
            self._list("]")
        elif self.take("{"):
            self._map()
        elif self.kind == "word":
            self._name()
        else:
            raise _Refused(f"a value is missing before {self.next!r}" if self.next else "a value is missing at the end")

    def _name(self) -> None:
        name = self._word()
        if name == "re" and self.take("."):
            name = f"re.{self._word()}"
        if self.take("("):
            self._call(name)
        elif name not in _WORDS and name not in ATTRIBUTES and name not in self.names:
            raise _Refused(f"{name!r} is no attribute; there are {', '.join(sorted(ATTRIBUTES))}")

    def _call(self, name: str) -> None:
        if name not in _FUNCTIONS:
            raise _Refused(f"{name!r} is no function Envoy knows")
        if name in _MACROS:
            self.names.append(self._word())
            self.expect(",")
        self._list(")")
        if name in _MACROS:
            self.names.pop()

    def _list(self, end: str) -> None:
        while not self.take(end):
            self.expression()
            if not self.take(","):
                self.expect(end)
                return

    def _map(self) -> None:
        while not self.take("}"):
            self.expression()
            self.expect(":")
            self.expression()
            if not self.take(","):
                self.expect("}")
                return
