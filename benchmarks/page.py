"""The page of the documentation that shows the figures, and the file in which they are kept for it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine, stage, table
from benchmarks.part import Part, Result

KEPT = ("values", "described", "problems", "sizes")
"""Of each `Result`."""

PAGE = stage.ROOT / "docs" / "explain" / "benchmarks.md"

TOP = """# What it costs

Written by `make bench`, which measures Nightshift on both databases in the same run as its rivals, in
alternation, and looks at every job afterwards: a run in which one job is not in the state in which it should
be gives no figure.

The machine is shared, so seconds vary from run to run. What counts are ratios to the rival in the same run,
and CPU time. Figures are the median of the runs (lowest to highest); a ratio is the median of the ratios of
each run.

Every job of Nightshift is *tracked*: sent inside `atomic()`, with owner and subject; its attempt is recorded,
what it logs is captured, it logs one line and returns a result, and all that is checked. The rival keeps
nothing: no state, no log, no result. The *bar* is what we mean to reach.

"""


BELOW = """
## Where the bars are not reached, and what the limit is

- **Drain.** Of about 480 µs that a job takes one process, SQLite itself takes 93 (to finish 29, to claim
  25, to commit 23), the worker thread 240 (of them 62 in Dramatiq's own code and 25 for the task's one line
  of log), the thread that claims and writes 90, and handing over between the threads 50. Bare Dramatiq with
  Redis keeps nothing of this and takes 435. PostgreSQL's own work for two statements a job, in a process
  that is woken for them, is most of the rest there.
- **Enqueue.** A new row is in eleven indexes, which the lists, the claim and fair share need, and each
  commit writes the page of every one: that alone takes SQLite about 150 µs. Django's `atomic()`, cursor and
  hooks at the commit take about as much, checks of the arguments and the message the rest. PostgreSQL plans
  a statement on the caller's connection anew each time: 0.6 ms, and 0.14 to run it. What its server takes
  beyond that are the looks of the idle worker that was rung for: it goes past all that waits in queues that
  are not its own.
- **Pick-up.** Half of the time passes before the call returns: it is measured from its beginning, and the
  commit is in it.
- **A web write that finds SQLite's lock taken** sleeps 1, 2, 5, 10 ms and so on, as SQLite has it: the
  first two of these are beyond half a millisecond. Two hundred jobs a second with a write of their own hold
  the lock for a tenth of the time before Nightshift writes a row.
- **An old snapshot** keeps PostgreSQL from forgetting what the indexes of open jobs say of those that are
  over: after 45,000 jobs under one that stays open, each look goes past all of them. It ends with the
  snapshot.

## How to measure

    make bench                                              everything, in an hour or two; writes this page
    make bench PARTS="drain pickup" DATABASE=sqlite RUNS=1 N=5000
    python -m benchmarks.drain --database sqlite --runs 3   one part; --help says what else there is

Servers are started as for the tests, in `tools/servers.py`. `BENCHMARK_SYNCHRONOUS=FULL` lets SQLite wait for
the disk at each commit of the site, as Django has it. A rival is one file in `benchmarks/rivals/`.
"""


def keep(place: Path, results: Sequence[Result]) -> None:
    """Add these to the file."""
    with place.open("a") as lines:
        for result in results:
            kept = {name: getattr(result, name) for name in KEPT}
            lines.write(json.dumps({"part": result.part.name, "date": _today(), **kept}) + "\n")


def kept(place: Path, parts: Mapping[str, Part]) -> list[Result]:
    """The newest of each part."""
    newest = {line["part"]: line for line in map(json.loads, place.read_text().splitlines())}
    return [
        Result(part, **{key: newest[name][key] for key in KEPT})
        for name, part in parts.items()
        if name in newest
    ]


def write(results: Sequence[Result]) -> None:
    """The page anew."""
    about = [f"- *{result.part.name}*: {result.part.about}{_runs(result)}" for result in results]
    problems = [problem for result in results for problem in result.problems]
    sections = [_where(results), table.write(results), "\n".join(about), "\n".join(problems)]
    PAGE.write_text(TOP + "\n\n".join(section for section in sections if section) + "\n" + BELOW)


def _where(results: Sequence[Result]) -> str:
    versions = dict.fromkeys(version for result in results for version in result.described)
    return f"Measured on {_today()}: {machine.described()}; {'; '.join(versions)}."


def _runs(result: Result) -> str:
    most = max((len(values) for values in result.values.values()), default=0)
    sizes = f"; here with {result.sizes}" if result.sizes else ""
    return f" {most} runs{sizes}." if most > 1 else f" One run{sizes}."


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
