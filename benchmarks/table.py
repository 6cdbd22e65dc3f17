"""The one table: a line for each measure, our two databases beside the rivals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.figures import Measure, ratio, spread
from benchmarks.ours import NAMES

if TYPE_CHECKING:
    from benchmarks.part import Result


def write(results: Sequence[Result]) -> str:
    """The table, as Markdown."""
    rivals = _rivals(results)
    head = ["measured", "unit"]
    for name in NAMES.values():
        head += [name, *(f"÷ {rival}" for rival in rivals), "bar"]
    lines = [[*head, *rivals], ["---", "---", *["--:"] * (len(head) - 2 + len(rivals))]]
    lines += [_line(result, measure, rivals) for result in results for measure in result.part.measures]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rivals(results: Sequence[Result]) -> list[str]:
    found = {name: None for result in results for name in result.values if name not in NAMES.values()}
    return list(found)


def _line(result: Result, measure: Measure, rivals: Sequence[str]) -> list[str]:
    cells = [measure.title, measure.unit]
    for database, name in NAMES.items():
        ours = result.of(name, measure.name)
        cells.append(spread(ours, measure.digits))
        cells += [
            ratio(result.beside(name, rival, measure.name)) if measure.compared else "" for rival in rivals
        ]
        cells.append(measure.bars.get(database, ""))
    return cells + [spread(result.of(rival, measure.name), measure.digits) for rival in rivals]
