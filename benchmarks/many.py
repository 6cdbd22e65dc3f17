"""``enqueue_many``: ten thousand jobs asked for at once."""

from __future__ import annotations

import tom_nightshift
from benchmarks.contender import WrongStates
from benchmarks.figures import MICRO, Measure, Values
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main

IS_THERE = "enqueue_many" in tom_nightshift.__all__


def once(contender: Nightshift, size: Size) -> Values:
    """Send them in one transaction, and count them where they wait."""
    contender.fresh()
    took: dict[str, float] = contender.stage.call("benchmarks.site.sending", "many", count=size.many)
    if (waiting := contender.waiting()) != size.many:
        raise WrongStates(f"{waiting} of {size.many} jobs wait")
    return {"seconds": took["seconds"], "cpu": took["cpu"] / size.many * MICRO}


PART = Part(
    name="many",
    once=once,
    measures=(
        Measure("seconds", "`enqueue_many` of 10,000", "s", 2, bars={"sqlite": "≤ 2"}),
        Measure("cpu", "`enqueue_many`: CPU of the sender", "µs/job"),
    ),
    about="10,000 jobs in one call of `enqueue_many`, with owner and subject.",
)

if __name__ == "__main__":
    main(PART)
