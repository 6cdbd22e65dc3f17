"""Memory of four worker processes of a TOM: forked by Nightshift, against four that import it themselves."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import machine
from benchmarks.contender import WrongStates
from benchmarks.figures import Measure, Values
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main
from benchmarks.stage import Running

WORKERS, THREADS = 4, 4
JOBS, ROUNDS = 32, 20


def once(contender: Nightshift, size: Size) -> Values:
    """The same site, tasks and jobs for both."""
    shape = ["--processes", str(WORKERS), "--threads", str(THREADS)]
    importing = ["-m", "dramatiq", "benchmarks.site.importing", *shape]
    forked = _after_work(contender, contender.command(WORKERS, THREADS))
    imported = _after_work(contender, importing)
    return {"forked": forked, "imported": imported, "share": forked / imported * 100}


def _after_work(contender: Nightshift, command: Sequence[str]) -> float:
    contender.fresh()
    contender.stage.record.clear()
    with contender.stage.running(*command) as workers:
        _work_everywhere(contender, workers)
        return machine.memory(machine.tree([workers.pid]))


def _work_everywhere(contender: Nightshift, workers: Running) -> None:
    """Send jobs until each worker process has run one, and then once more."""
    for done in range(1, ROUNDS + 1):
        reached = len(contender.stage.record.starts()) == WORKERS  # each job writes the number of its process
        contender.stage.call("benchmarks.site.sending", "tidy", count=JOBS)
        contender.stage.record.wait(done * JOBS)
        if reached:
            return
    raise WrongStates(f"not all of {WORKERS} worker processes ran a job; the log says: {workers.log[-300:]}")


PART = Part(
    name="memory",
    once=once,
    measures=(
        Measure("forked", "memory of 4 workers in a TOM", "MB"),
        Measure("imported", "memory of 4 that import it themselves", "MB"),
        Measure("share", "the first in terms of the second", "%", bars={"sqlite": "≤ 45"}),
    ),
    about="Four processes of 4 threads in a TOM, and what supervises them, after jobs in each that collect "
    "garbage (PSS: what they share counts once). The others are started by Dramatiq's own command.",
    databases=("sqlite",),
    settings="benchmarks.site.settings_tom",
)

if __name__ == "__main__":
    main(PART)
