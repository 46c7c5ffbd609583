"""CEL, the language of validation rules and match conditions, with the functions Kubernetes adds to it.

The expressions run in a Rust library that is loaded at the first rule. Its package's own `__init__` also loads a
command line with colours and tables (over a second, 35 MB); only the extension module is wanted, so that is loaded
alone (15 ms, 4 MB).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

_SPACES = re.compile(r"(?<![.\w])(sets|math|format)\.(\w+)\s*\(")


class ExpressionError(Exception):
    """An expression that cannot be read, or that failed on these values."""


@cache
def library() -> Any:
    """The extension module."""
    import importlib.util
    from importlib.machinery import EXTENSION_SUFFIXES
    from pathlib import Path

    package = importlib.util.find_spec("cel")
    folders = [Path(folder) for folder in (package.submodule_search_locations or ())] if package else []
    for path in (folder / f"cel{suffix}" for folder in folders for suffix in EXTENSION_SUFFIXES):
        if path.exists():
            found = importlib.util.spec_from_file_location("cel.cel", path)
            assert found is not None and found.loader is not None
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            return module
    raise ImportError("the package common-expression-language is not installed")


@lru_cache(maxsize=256)
def compiled(text: str) -> Expression:
    """The expression, compiled once. ExpressionError when it cannot be."""
    return Expression(text)


class Expression:
    """A compiled expression."""

    def __init__(self, text: str) -> None:
        """ExpressionError when it cannot be compiled."""
        try:
            self._program = library().compile(_rewritten(text))
            self._functions = self._known_functions()
        except (ValueError, RuntimeError, ImportError) as error:
            raise ExpressionError(" ".join(str(error).split())) from error

    def _known_functions(self) -> dict[str, Any]:
        used = set(self._program.functions())
        if not used - _BUILT_IN_OPERATORS:
            return {}
        from kaiki.apiserver.expression_functions import FUNCTIONS

        return {name: FUNCTIONS[name] for name in used if name in FUNCTIONS}

    @property
    def variables(self) -> set[str]:
        """The names it refers to (those its comprehensions bind as well)."""
        return set(self._program.variables())

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """Its value. ExpressionError when it has none: a field that is not there, types that do not fit."""
        try:
            if not self._functions:
                return self._program.execute(dict(variables))
            return self._program.execute(library().Context(dict(variables), self._functions))
        except (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            text = f"no such key: {error.args[0]}" if isinstance(error, KeyError) else " ".join(str(error).split())
            raise ExpressionError(text) from error


_BUILT_IN_OPERATORS = frozenset(
    {"_==_", "_!=_", "_&&_", "_||_", "!_", "_<_", "_<=_", "_>_", "_>=_", "_?_:_", "_+_", "_-_", "_[_]", "@in", "size",
     "matches", "startsWith", "endsWith", "contains", "@not_strictly_false"}
)  # fmt: skip


def optional(value: Any) -> Any:
    """A CEL optional: of this value, or of none."""
    return library().OptionalValue.none() if value is None else library().OptionalValue.of(value)


def _rewritten(text: str) -> str:
    """The expression in the library's own words: name spaces as prefixes, `a.?b` as `optionalField(a, "b")`."""
    text = _SPACES.sub(r"\1_\2(", text)
    while (at := text.find(".?")) >= 0:
        name = re.match(r"\s*(\w+)", text[at + 2 :])
        start = _operand_start(text, at)
        if name is None or start == at:
            break
        call = f'optionalField({text[start:at]}, "{name.group(1)}")'
        text = text[:start] + call + text[at + 2 + name.end() :]
    return text


def _operand_start(text: str, end: int) -> int:
    """Where the operand begins that ends here: names, dots, and whatever stands in brackets."""
    at = end
    while at > 0:
        letter = text[at - 1]
        if letter in ")]":
            depth = 0
            while at > 0:
                at -= 1
                depth += (text[at] in ")]") - (text[at] in "([")
                if not depth:
                    break
        elif letter.isalnum() or letter in "_.":
            at -= 1
        else:
            break
    return at
