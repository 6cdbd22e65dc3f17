"""Jobs sent one by one, each in a transaction of its own, while an idle worker listens to another queue."""

from __future__ import annotations

from benchmarks import machine
from benchmarks.agreed import QUIET
from benchmarks.contender import Contender, WrongStates
from benchmarks.figures import MICRO, Measure, Values
from benchmarks.options import Size
from benchmarks.part import Part, main

BARS = {"sqlite": "≤ 200", "postgres": "≤ 400"}


def once(contender: Contender, size: Size) -> Values:
    """Send them, and count them where they wait."""
    contender.fresh()
    counted = contender.statements()
    contender.fresh()
    with contender.working(1, 4, "--queues", QUIET[0]):  # so that there is somebody to ring for
        before = machine.cpu(contender.server())
        took = contender.send("burst", first=0, count=size.jobs)
        server = machine.cpu(contender.server()) - before
        if (waiting := contender.waiting()) != size.jobs:
            raise WrongStates(f"{contender.name}: {waiting} of {size.jobs} jobs wait")
    return {
        "cpu": took["cpu"] / size.jobs * MICRO,
        "server": server / size.jobs * MICRO,
        "wall": took["seconds"] / size.jobs * MICRO,
        **counted,
    }


PART = Part(
    name="enqueue",
    once=once,
    measures=(
        Measure("cpu", "enqueue: CPU of the sender", "µs/job", compared=True, bars=BARS),
        Measure("server", "enqueue: CPU of the server", "µs/job", compared=True),
        Measure("wall", "enqueue: time", "µs/job", compared=True),
        Measure(
            "statements", "enqueue: statements beside BEGIN and COMMIT", "", bars=dict.fromkeys(BARS, "≤ 2")
        ),
    ),
    about="5,000 jobs are sent one by one, each in an `atomic()` of its own; one idle worker is rung for.",
    beside_rivals=True,
)

if __name__ == "__main__":
    main(PART)
