"""``make bench``: all parts, one table, and the page that tells of it.

- ``python -m benchmarks``: everything, in an hour or two
- ``python -m benchmarks --parts drain pickup --runs 1``: some of it, in a few minutes
- ``python -m benchmarks --long --table figures --page``: as published
"""

from __future__ import annotations

import sys

from benchmarks import (
    contention,
    drain,
    enqueue,
    finished,
    held,
    idle,
    many,
    memory,
    options,
    page,
    pickup,
    snapshot,
    table,
)
from benchmarks.part import Result, measure
from tools import processes, servers

ALL = (
    drain.PART, enqueue.PART, *([many.PART] if many.IS_THERE else []), pickup.PART, idle.PART, memory.PART,
    contention.PART, finished.PART, held.PART, snapshot.PART,
)  # fmt: skip
PARTS = {part.name: part for part in ALL}


def main() -> int:
    wanted = options.parse(sys.argv[1:], "Measure Nightshift beside others.", list(PARTS))
    processes.end_on_signals()
    results, problems = [], []
    for name in wanted.parts:
        try:
            results.append(measure(PARTS[name], wanted))
            if results[-1].stopped:
                break
        except servers.Missing as problem:
            problems.append(f"Not measured: {name}: {problem}")
    print(table.write(results))
    if wanted.table or wanted.page:
        _publish(wanted, results)
    problems += [problem for result in results for problem in result.problems]
    print(*problems, sep="\n")
    return 1 if problems else 0


def _publish(wanted: options.Options, results: list[Result]) -> None:
    if wanted.table:
        page.keep(wanted.table, results)
        results = page.kept(wanted.table, PARTS)
    if wanted.page:
        page.write(results)


if __name__ == "__main__":
    sys.exit(main())
