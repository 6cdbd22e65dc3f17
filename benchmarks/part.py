"""A part of the benchmarks: what it measures, on whom, and how it is run by itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import options, ours, rivals, stage, table
from benchmarks.contender import Contender, WrongStates
from benchmarks.figures import Measure, Values
from benchmarks.options import Size
from benchmarks.stage import Failed
from tools import processes

Once = Callable[[Any, Size], Values]


@dataclass(frozen=True)
class Part:
    """One thing that is measured.

    Parameters:
        once: measures one contender once.
        about: what is done, in a sentence for the page.
        beside_rivals: whether rivals are measured too; else ours are compared with themselves.
        databases: those on which it makes sense.
    """

    name: str
    once: Once
    measures: Sequence[Measure]
    about: str
    beside_rivals: bool = False
    databases: Sequence[str] = ("sqlite", "postgres")
    settings: str = "benchmarks.site.settings"


@dataclass
class Result:
    """What all runs of a part gave: contender → one `Values` a run, empty where the run gave no figure."""

    part: Part
    values: dict[str, list[Values]] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)
    """Databases and rivals, with their versions."""

    problems: list[str] = field(default_factory=list)
    """Runs that gave no figure, and why."""

    sizes: str = ""
    """Of what less or more was done than by default."""

    stopped: bool = False
    """Whether somebody put an end to it; what was measured by then is there."""

    def of(self, contender: str, measure: str) -> list[float]:
        """All values of one measure."""
        return [values[measure] for values in self.values.get(contender, ()) if measure in values]

    def beside(self, contender: str, rival: str, measure: str) -> list[tuple[float, float]]:
        """The values of both from each run in which both gave one."""
        both = zip(self.values.get(contender, ()), self.values.get(rival, ()), strict=False)
        return [
            (ours[measure], theirs[measure]) for ours, theirs in both if measure in ours and measure in theirs
        ]


def measure(part: Part, wanted: options.Options) -> Result:
    """Run a part, the contenders in alternation.

    A run that leaves jobs in a state in which they should not be gives no figure.

    Raises:
        Missing: a server is not here and could not be brought.
    """
    result = Result(part, sizes=wanted.size.changed())
    with ExitStack() as held, _stoppable(result):
        folder = held.enter_context(stage.folder())
        contenders = [held.enter_context(context) for context in _contexts(part, wanted, folder)]
        result.described = [ours.version(), *(contender.described() for contender in contenders)]
        for run in range(wanted.size.runs):
            for contender in contenders:
                run_once(result, run, contender, wanted.size)
    return result


def run_once(result: Result, run: int, contender: Contender, size: Size) -> None:
    """Add one run of one contender to the result: its figures, or why it gives none."""
    try:
        values = result.part.once(contender, size)
    except (WrongStates, Failed, TimeoutError) as problem:
        result.problems.append(f"No figure: {result.part.name}, run {run + 1}: {problem}")
        _tell(result.problems[-1])
        result.values.setdefault(contender.name, []).append({})
        return
    result.values.setdefault(contender.name, []).append(values)
    figures = [f"{each.name} {values[each.name]:,.{each.digits}f}" for each in result.part.measures
               if each.name in values]  # fmt: skip
    _tell(f"{result.part.name} {run + 1}: {contender.name}: {', '.join(figures)}")


def main(part: Part) -> None:
    """``python -m benchmarks.PART``: run it and print its table."""
    wanted = options.parse(sys.argv[1:], part.about)
    processes.end_on_signals()
    result = measure(part, wanted)
    print(table.write([result]), *result.problems, sep="\n")
    sys.exit(1 if result.problems or result.stopped else 0)


@contextmanager
def _stoppable(result: Result) -> Iterator[None]:
    """Ctrl-C ends the runs and not the figures."""
    try:
        yield
    except KeyboardInterrupt:
        result.stopped = True


def _contexts(part: Part, wanted: options.Options, folder: Any) -> Iterator[Any]:
    for database in wanted.databases:
        if database in part.databases:
            yield ours.opened(database, folder, part.settings)
    for rival in wanted.rivals if part.beside_rivals else ():
        yield rivals.opened(rival, folder)


def _tell(words: str) -> None:
    print(time.strftime("%H:%M:%S"), words, file=sys.stderr, flush=True)
