"""One worker process that listens to five queues and has nothing to do."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

from benchmarks.agreed import QUIET
from benchmarks.contender import Contender
from benchmarks.figures import Measure, Values
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main

THREADS = 4
CALM = 3.0
"""Seconds after its last job until it counts as idle."""


def once(contender: Contender, size: Size) -> Values:
    """Let it work first, for who has never worked may rest more cheaply."""
    with _counted(contender), contender.warm(1, THREADS, "--queues", "default", *QUIET) as workers:
        time.sleep(min(CALM, size.idle))
        cpu, statements, began = workers.cpu(), contender.statements_so_far(), time.monotonic()
        time.sleep(size.idle)
        seconds = time.monotonic() - began
        return {
            "cpu": (workers.cpu() - cpu) / seconds * 60,
            "statements": (contender.statements_so_far() - statements) / seconds,
        }


def _counted(contender: Contender) -> AbstractContextManager[None]:
    return contender.counted() if isinstance(contender, Nightshift) else nullcontext()


PART = Part(
    name="idle",
    once=once,
    measures=(
        Measure("cpu", "idle, one process, five queues: CPU", "s a minute", 2, True,
                {"sqlite": "≤ 0.15", "postgres": "≤ 0.15"}),
        Measure("statements", "idle, one process, five queues: statements", "a second", 1, True,
                {"sqlite": "≤ 2", "postgres": "≤ 2"}),
    ),
    about="One process of 4 threads has worked, and then listens to 5 queues for a minute; its supervisor "
    "counts too. `PRAGMA data_version`, BEGIN and COMMIT are not counted as statements.",
    beside_rivals=True,
)  # fmt: skip

if __name__ == "__main__":
    main(PART)
