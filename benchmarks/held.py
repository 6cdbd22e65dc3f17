"""A claim with a hundred thousand jobs in front that may not begin, against none."""

from __future__ import annotations

from functools import partial

from benchmarks import claiming, rows
from benchmarks.figures import Measure, Values
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main

BAR = dict.fromkeys(("sqlite", "postgres"), "≤ 1.2")


def once(contender: Nightshift, size: Size) -> Values:
    """None, then many."""
    without = claiming.microseconds(contender, size.claimed)
    many = partial(rows.add_held, count=size.held)
    behind = claiming.microseconds(contender, size.claimed, f"held_{size.held}", many)
    return {"claim": behind, "ratio": behind / without}


PART = Part(
    name="held",
    once=once,
    measures=(
        Measure("claim", "a claim of 8 behind 100,000 that are held", "µs"),
        Measure("ratio", "the same, in terms of one with none", "×", 2, bars=BAR),
    ),
    about="The same claims behind 100,000 jobs of a higher priority that wait for a time or a worker, or "
    "whose queue is paused.",
)

if __name__ == "__main__":
    main(PART)
