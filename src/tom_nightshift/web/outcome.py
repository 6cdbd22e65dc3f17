"""What a job brought, as its page shows it: read from ``Job.result`` by the conventions that tasks follow.

The value that a task returns may be a text, or a dictionary with ``summary`` (a sentence), ``facts`` (a
dictionary of label and text), ``remarks`` (sentences that qualify the result) and ``table``::

    {"columns": [{"name": "x", "unit": "pix", "title": "…"}], "rows": [[1.5]], "total": 269, "caption": "…"}

Anything else is shown as JSON, to those who may see details.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tom_nightshift.models import Job

SHOWN_ROWS = 25
SHOWN_COLUMNS = 30
CONVENTIONAL = frozenset({"summary", "facts", "remarks", "table"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    unit: str
    title: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The beginning of a table."""

    caption: str
    columns: list[Column]
    rows: list[list[tuple[str, bool]]]
    """Cells: the text, and whether it is a number."""

    total: int

    is_cut_here: bool = False
    """Whether the task gave more rows than these."""

    @property
    def rest(self) -> str:
        """That there are more rows than these; nothing where the task's own caption says which these are."""
        if self.total <= len(self.rows) or (self.caption and not self.is_cut_here):
            return ""
        return f"The first {len(self.rows):,} of {self.total:,} rows."


@dataclass(frozen=True, slots=True)
class Shown:
    """A result, ready to be shown."""

    summary: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    table: Table | None = None
    json: str = ""
    made: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def shown(job: Job) -> Shown:
    """The result of a job, ready to be shown. Whatever a task returned, this does not fail."""
    kept = job.result if isinstance(job.result, Mapping) else {"value": job.result}
    value, made = kept.get("value"), _list(kept.get("made"))
    warnings = [str(words) for words in _list(kept.get("warnings"))]
    if isinstance(value, str):
        return Shown(summary=value, made=made, warnings=warnings)
    if not isinstance(value, Mapping) or not CONVENTIONAL & set(value):
        return Shown(json=_as_json(value), made=made, warnings=warnings)
    facts = value.get("facts")
    return Shown(
        summary=str(value.get("summary") or ""),
        facts=[(str(label), cell(fact)) for label, fact in facts.items()]
        if isinstance(facts, Mapping)
        else [],
        remarks=[str(words) for words in _list(value.get("remarks"))],
        table=_table(value.get("table")),
        json=_as_json({key: rest for key, rest in value.items() if key not in CONVENTIONAL} or None),
        made=made,
        warnings=warnings,
    )


def summary(job: Job) -> str:
    """The sentence that says what the job brought; no words if its task gave none."""
    value = job.result.get("value") if isinstance(job.result, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("summary")
    return value if isinstance(value, str) else ""


def without_details(result: Shown) -> Shown:
    """The same for those who may not see details: without what the task returned besides the conventions."""
    return replace(result, json="")


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.9g}"  # enough for a position to a thousandth of an arc second
    if isinstance(value, list | Mapping):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _table(raw: Any) -> Table | None:
    if not isinstance(raw, Mapping):
        return None
    rows = [row[:SHOWN_COLUMNS] for row in _list(raw.get("rows")) if isinstance(row, list)]
    columns = [
        _column(column, [row[place] for row in rows if place < len(row)])
        for place, column in enumerate(_list(raw.get("columns"))[:SHOWN_COLUMNS])
    ]
    if not columns:
        return None
    total = raw.get("total")
    cells = [[(cell(value), _is_number(value)) for value in row] for row in rows[:SHOWN_ROWS]]
    return Table(
        str(raw.get("caption") or ""),
        columns,
        cells,
        total if isinstance(total, int) else len(rows),
        is_cut_here=len(rows) > SHOWN_ROWS,
    )


def _column(raw: Any, values: list[Any]) -> Column:
    if not isinstance(raw, Mapping):
        raw = {"name": raw}
    told = [value for value in values if value is not None]
    return Column(
        name=str(raw.get("name", "")),
        unit=str(raw.get("unit") or ""),
        title=str(raw.get("title") or ""),
        is_number=bool(told) and all(_is_number(value) for value in told),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_json(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
