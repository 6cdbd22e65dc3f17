"""Jobs sent to workers that have nothing to do: from the beginning of the call to the start of the job."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contender import WARMING, Contender
from benchmarks.figures import Measure, Values, percentile
from benchmarks.options import Size
from benchmarks.part import Part, main

SHORTEST, LONGEST = 0.02, 0.12
"""Seconds between jobs that come one at a time."""

PAUSE, GAP = 0.5, 0.05
"""Seconds before a pair, and within it."""


def once(contender: Contender, size: Size) -> Values:
    """Send them singly and in pairs; then look at every job."""
    with contender.warm(2, 8):
        single = contender.send("spaced", first=0, count=size.pickups, shortest=SHORTEST, longest=LONGEST)
        pairs = contender.send("pairs", first=size.pickups, count=size.pairs, pause=PAUSE, gap=GAP)
        count = size.pickups + 2 * size.pairs
        contender.stage.record.wait(len(WARMING) + count)
        contender.settle()
    contender.check([*WARMING, *range(count)])
    return _values(contender.stage.record.starts(), single, pairs)


def _values(starts: dict[int, int], single: Sequence[list[int]], pairs: Sequence[list[int]]) -> Values:
    delays = [(starts[number] - began) / 1e6 for number, began, _ in single]
    in_pairs = [(starts[number] - began) / 1e6 for number, began, _ in pairs]
    return {
        "p50": percentile(delays, 0.5),
        "p99": percentile(delays, 0.99),
        "call": percentile([(returned - began) / 1e6 for _, began, returned in single], 0.5),
        "first": percentile(in_pairs[::2], 0.9),
        "second": percentile(in_pairs[1::2], 0.9),
    }


PART = Part(
    name="pickup",
    once=once,
    measures=(
        Measure("p50", "pick-up when idle, p50", "ms", 1, True, {"sqlite": "≤ 2", "postgres": "≤ 3"}),
        Measure("p99", "pick-up when idle, p99", "ms", 1, True, {"sqlite": "≤ 10", "postgres": "≤ 12"}),
        Measure("call", "the call itself, p50", "ms", 1, True),
        Measure(
            "first",
            "two, 50 ms apart: the first, p90",
            "ms",
            1,
            True,
            dict.fromkeys(("sqlite", "postgres"), "≤ 40"),
        ),
        Measure(
            "second",
            "two, 50 ms apart: the second, p90",
            "ms",
            1,
            True,
            dict.fromkeys(("sqlite", "postgres"), "≤ 40"),
        ),
    ),
    about="300 jobs are sent to idle workers, 20 to 120 ms apart, then 20 pairs. From the call to the start.",
    beside_rivals=True,
)

if __name__ == "__main__":
    main(PART)
