"""Writes of a web server into an SQLite file while jobs run that write into it too, against none."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from benchmarks.contender import WrongStates
from benchmarks.figures import Measure, Values, percentile
from benchmarks.options import Size
from benchmarks.ours import Nightshift
from benchmarks.part import Part, main

JOBS_A_SECOND = 200
PAUSE = 0.01
"""Seconds between two writes of the web server."""

SEEN = "visits FROM benchmark_star WHERE name = 'Vega'"
TOLD = "count(*) FROM tom_nightshift_job WHERE done = 1 AND total = 1"
ADDED = "count(*) FROM benchmark_star WHERE name = 'Altair'"


def once(contender: Nightshift, size: Size) -> Values:
    """First alone, then beside the jobs; then look at every job, and at the rows that they wrote."""
    count = int(JOBS_A_SECOND * size.busy)
    contender.fresh()
    contender.stage.record.clear()
    with contender.working(1, 4) as workers:
        alone = _writes(contender, size.busy)
        beside = _beside_jobs(contender, size.busy, count)
        contender.stage.record.wait(count)
        contender.settle()
    _check(contender, count, len(alone) + len(beside), workers.log)
    return _values(contender, alone, beside)


def _writes(contender: Nightshift, seconds: float) -> list[float]:
    written: list[float] = contender.stage.call("benchmarks.site.web", "write", seconds=seconds, pause=PAUSE)
    return written


def _beside_jobs(contender: Nightshift, seconds: float, count: int) -> list[float]:
    values: dict[str, Any] = {"first": 0, "count": count, "pause": 1 / JOBS_A_SECOND}
    sender = threading.Thread(
        target=contender.stage.call, args=("benchmarks.site.sending", "observe"), kwargs=values
    )
    sender.start()
    try:
        contender.stage.record.wait(1)
        return _writes(contender, seconds)
    finally:
        sender.join()


def _check(contender: Nightshift, count: int, written: int, log: str) -> None:
    contender.check(range(count))
    found = [contender.database.rows(f"SELECT {what}")[0][0] for what in (SEEN, TOLD, ADDED)]
    if found != [count, count, written] or "database is locked" in log:
        raise WrongStates(
            f"{count} jobs wrote their row {found[0]} times, {found[1]} told their progress; of {written} "
            f"web writes {found[2]} are there; locked {log.count('database is locked')} times"
        )


def _values(contender: Nightshift, alone: Sequence[float], beside: Sequence[float]) -> Values:
    moments = sorted(contender.stage.record.starts().values())
    parts = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {
        "rate": (len(moments) - 1) / (moments[-1] - moments[0]) * 1e9,
        **{name: percentile(beside, part) - percentile(alone, part) for name, part in parts.items()},
        **{f"{name}_alone": percentile(alone, part) for name, part in parts.items()},
        "max": max(beside),
        "max_alone": max(alone),
    }


PART = Part(
    name="contention",
    once=once,
    measures=(
        Measure("p50_alone", "web write without jobs, p50", "ms", 2),
        Measure("p95_alone", "web write without jobs, p95", "ms", 2),
        Measure("p99_alone", "web write without jobs, p99", "ms", 2),
        Measure("max_alone", "web write without jobs, longest", "ms", 1),
        Measure("rate", "jobs beside it", "jobs/s"),
        Measure("p50", "web write beside jobs, p50", "+ ms", 2),
        Measure("p95", "web write beside jobs, p95", "+ ms", 2, bars={"sqlite": "≤ 0.5"}),
        Measure("p99", "web write beside jobs, p99", "+ ms", 2, bars={"sqlite": "≤ 5"}),
        Measure("max", "web write beside jobs, longest", "ms", 1, bars={"sqlite": "≤ 100"}),
    ),
    about="Every 10 ms a web server changes a row and adds one, in the SQLite file from which one worker "
    "takes 200 jobs a second, each of which tells its progress and changes a row of the site's own.",
    databases=("sqlite",),
)

if __name__ == "__main__":
    main(PART)
