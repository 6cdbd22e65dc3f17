"""A claim, and the list pages, in a table with a million finished jobs, against one with fifty."""

from __future__ import annotations

import statistics
from functools import partial

from benchmarks import claiming, rows
from benchmarks.databases import Fill
from benchmarks.figures import Measure, Values
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main

FEW = 50
EVERY = 100
"""One in so many of a long history is Ann's; of a short one, all are."""

BAR = dict.fromkeys(("sqlite", "postgres"), "≤ 1.2")


def once(contender: Nightshift, size: Size) -> Values:
    """Few, then many."""
    every = min(EVERY, max(1, size.finished // FEW))
    few = _with(contender, size, f"few_{FEW}", partial(rows.add_finished, count=FEW, every=1))
    history = partial(rows.add_finished, count=size.finished, every=every)
    many = _with(contender, size, f"many_{size.finished}", history)
    ratios = {f"{name}_ratio": many[name] / few[name] for name in few}
    return {**many, **ratios}


def _with(contender: Nightshift, size: Size, kind: str, fill: Fill) -> dict[str, float]:
    took = {"claim": claiming.microseconds(contender, size.claimed, kind, fill)}
    pages = contender.stage.call("benchmarks.site.web", "list_pages", times=size.pages)
    return took | {whose or "mine": statistics.median(each) for whose, each in pages.items()}


PART = Part(
    name="finished",
    once=once,
    measures=(
        Measure("claim", "a claim of 8 with 1,000,000 finished jobs", "µs"),
        Measure("claim_ratio", "the same, in terms of one with 50", "×", 2, bars=BAR),
        Measure("mine", "*My jobs*, 10,000 of 1,000,000", "ms", 1),
        Measure("mine_ratio", "the same, in terms of 50", "×", 2, bars=BAR),
        Measure("all", "*All jobs that I may see*, 1,000,000", "ms", 1),
        Measure("all_ratio", "the same, in terms of 50", "×", 2, bars=BAR),
    ),
    about="The claims of 800 jobs, 8 at a time (what a worker asks at each turn, without the commit), and "
    "the first page of lists, with 1,000,000 finished jobs in the table, against 50.",
)

if __name__ == "__main__":
    main(PART)
