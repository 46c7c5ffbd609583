"""Kubernetes quantities (`500m`, `128Mi`) as exact numbers. Pure."""

from __future__ import annotations

from fractions import Fraction

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


def parse_quantity(text: str) -> Fraction:
    """The number a quantity stands for; raises ValueError that names it."""
    digits = text.rstrip("numkMGTPEi")
    suffix = text[len(digits) :]
    try:
        return Fraction(digits) * _SUFFIXES[suffix]
    except (KeyError, ValueError):
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 128Mi") from None
