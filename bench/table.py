"""Figures as a table. A figure is printed beside its target, never asserted: machines differ, regressions show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `target` is the most it should be, or the least where `at_least`; None: no target."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """What is printed: name, value, target, the value as a share of the target, and whether it is met."""
        measured = f"{amount(self.value)} {self.unit}".rstrip()
        if self.target is None:
            return self.name, measured, "", "", ""
        sign = "≥" if self.at_least else "≤"
        met = self.value >= self.target if self.at_least else self.value <= self.target
        wanted = f"{sign} {amount(self.target)} {self.unit}".rstrip()
        return self.name, measured, wanted, f"{self.value / self.target:.2f}", "met" if met else "MISSED"


def amount(value: float) -> str:
    """A number with about three digits that matter."""
    magnitude = abs(value)
    digits = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2
    return f"{value:.{digits}f}"


def print_figures(title: str, figures: Iterable[Figure]) -> None:
    """Print figures with their targets."""
    print_rows(title, ("", "measured", "target", "ratio", ""), [figure.row for figure in figures])


def print_rows(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: the first column left-aligned, the others to the right; only as wide as it has to be."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    print(f"\n{title}")
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        print(("  " + "  ".join(cells)).rstrip(), flush=True)
