"""Drains while an old snapshot is held open, so that PostgreSQL may forget no dead row: the last against the
first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks import drain
from benchmarks.contender import WrongStates
from benchmarks.figures import Measure, Values
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main


def once(contender: Nightshift, size: Size) -> Values:
    """Drain again and again in the same database; then look at every job of all rounds."""
    contender.fresh()
    rounds: list[Values] = []
    with _old_snapshot(contender):
        began = time.monotonic()
        while len(rounds) < 2 or time.monotonic() < began + size.snapshot:
            rounds.append(_round(contender, len(rounds) * size.jobs, size.jobs))
    if wrong := contender.wrong(range(len(rounds) * size.jobs)):
        raise WrongStates(wrong)
    return {
        "rounds": len(rounds),
        "rate": rounds[-1]["rate"],
        "rate_ratio": rounds[-1]["rate"] / rounds[0]["rate"],
        "cpu": rounds[-1]["cpu"],
        "cpu_ratio": rounds[-1]["cpu"] / rounds[0]["cpu"],
    }


def _round(contender: Nightshift, first: int, count: int) -> Values:
    contender.stage.record.clear()
    contender.send("burst", first=first, count=count)
    values = drain.drained(contender, count)
    if wrong := contender.stage.record.wrong(range(first, first + count)):
        raise WrongStates(wrong)
    return values


@contextmanager
def _old_snapshot(contender: Nightshift) -> Iterator[None]:
    with psycopg.connect(contender.database.address) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM tom_nightshift_job")
        yield


PART = Part(
    name="snapshot",
    once=once,
    measures=(
        Measure("rounds", "old snapshot: drains one after the other", ""),
        Measure("rate", "old snapshot: the last drain", "jobs/s"),
        Measure("rate_ratio", "the same, in terms of the first", "×", 2),
        Measure("cpu", "old snapshot: the last drain, CPU", "µs/job"),
        Measure("cpu_ratio", "the same, in terms of the first", "×", 2),
    ),
    about="Drains one after the other, while a transaction that began before the first is held open.",
    databases=("postgres",),
)

if __name__ == "__main__":
    main(PART)
