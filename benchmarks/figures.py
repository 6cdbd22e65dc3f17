"""Figures of several runs: medians, and ratios to the rival of the same run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Values = Mapping[str, float]
"""What one run of one contender gave: measure → value."""

MICRO = 1e6


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    name: str
    """Key in `Values`."""

    title: str
    unit: str
    digits: int = 0
    compared: bool = False
    """Whether the rival gives it too, so that ratios say more than figures."""

    bars: Mapping[str, str] = field(default_factory=dict)
    """What it should reach, by database."""


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part (0 to 1) of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def spread(values: Sequence[float], digits: int) -> str:
    """``median (lowest to highest)``, or what there is of it."""
    if not values:
        return ""
    middle = f"{statistics.median(values):,.{digits}f}"
    return (
        middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
    )


def ratio(pairs: Sequence[tuple[float, float]]) -> str:
    """The median of what the first is in terms of the second, run by run."""
    ratios = [one / other for one, other in pairs if other]
    return f"{statistics.median(ratios):.2f}" if ratios else ""
