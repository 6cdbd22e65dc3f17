"""Jobs that do nothing, sent before the workers start: how fast two processes of eight threads run them."""

from __future__ import annotations

from benchmarks import machine
from benchmarks.contender import Contender
from benchmarks.figures import MICRO, Measure, Values
from benchmarks.options import Size
from benchmarks.part import Part, main

PROCESSES, THREADS = 2, 8


def once(contender: Contender, size: Size) -> Values:
    """Send, then let workers run it all; then look at every job."""
    contender.fresh()
    contender.stage.record.clear()
    contender.send("burst", first=0, count=size.jobs)
    values = drained(contender, size.jobs)
    contender.check(range(size.jobs))
    return values


def drained(contender: Contender, jobs: int) -> Values:
    """Start workers on so many jobs that wait, and measure until all is written."""
    record, servers = contender.stage.record, contender.server()
    with contender.stage.running(*contender.command(PROCESSES, THREADS)) as workers:
        record.wait(1)
        others = machine.Others()
        before, already = machine.cpu([workers.pid, *servers]), record.count()
        record.wait(jobs)
        contender.settle()
        spent = machine.cpu([workers.pid, *servers]) - before
    moments = sorted(record.starts().values())
    return {
        "rate": (jobs - 1) / (moments[-1] - moments[0]) * 1e9,
        "cpu": spent / max(jobs - already, 1) * MICRO,
        "others": others.share(spent) * 100,
        "locked": workers.log.count("database is locked"),
    }


PART = Part(
    name="drain",
    once=once,
    measures=(
        Measure("rate", "drain", "jobs/s", 0, True, {"sqlite": "≥ 1.5 ×", "postgres": "≥ 1.0 ×"}),
        Measure(
            "cpu",
            "drain: CPU, workers and server",
            "µs/job",
            0,
            True,
            {"sqlite": "≤ 400", "postgres": "≤ 600"},
        ),
        Measure("locked", 'drain: "database is locked"', "times", 0, False, {"sqlite": "0"}),
        Measure("others", "drain: the machine meanwhile used by others", "%", 0),
    ),
    about="5,000 jobs wait; then 2 processes of 8 threads start. From the first start of a job to the last.",
    beside_rivals=True,
)

if __name__ == "__main__":
    main(PART)
