"""The INSERT of new jobs: the same statement for one and for many."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.db import connections
from dramatiq import Message

from tom_nightshift.ledger import fairness, limits, wholes
from tom_nightshift.ledger.holding import ready_or_held
from tom_nightshift.ledger.session import Sql, jobs_alias, marks
from tom_nightshift.ledger.wholes import Place
from tom_nightshift.states import Hold

ROWS = 500
"""Most rows in one statement."""

MOST_MEETINGS = 100
"""How often a row is tried again where the one that was in its way has just ended."""

_ALWAYS = {
    "state": "'waiting'", "attempt": "0", "failures": "0", "losses": "0", "snoozes": "0", "worker": "''",
    "stop_requested": "FALSE", "stop_stage": "0", "stop_by": "''", "reason": "''", "error": "''",
    "note": "''", "notify": "''", "carrier_epoch": "''",
}  # fmt: skip
_CONSTANTS = ", ".join(_ALWAYS.values())

Written = tuple[int, str]
"""The id of a row, and that of its message."""


@dataclass(frozen=True, slots=True)
class NewRow:
    """A job that is asked for."""

    message: Message[Any]
    """Without the options that go into the row."""

    values: Mapping[str, Any]
    """By column; of all rows of one statement the same columns."""

    falls_under: limits.Declarations
    delay: float | None = None
    """Seconds until it may begin; None: at once."""

    of_use: float | None = None
    """Seconds until it is too old; None: never."""

    place: Place | None = None

    @property
    def is_due(self) -> bool:
        """Whether it waits for no moment."""
        return self.delay is None or self.delay <= 0

    @property
    def first_hold(self) -> Hold:
        """What it waits for, if its queue is not paused."""
        if not self.is_due:
            return Hold.UNTIL
        if self.values["limit_key"]:
            return Hold.LIMIT
        return Hold.RATE if self.values["rate_key"] else Hold.NONE


def insert(sql: Sql, rows: Sequence[NewRow]) -> list[Written]:
    """Insert rows in their order, ``ROWS`` with one statement; not where there is one that has its message,
    or an open one that has its unique key.

    Returns:
        for each the row that is there then.
    """
    written: list[Written] = []
    for start in range(0, len(rows), ROWS):
        written += _insert_some(sql, rows[start : start + ROWS])
    return written


def _insert_some(sql: Sql, rows: Sequence[NewRow]) -> list[Written]:
    for falls_under in _distinct(rows):
        limits.note(sql, falls_under)
    new = _run(sql, rows)
    written = [_found(new, row) or _met(sql, row) for row in rows]
    for row, (job_id, _) in zip(rows, written, strict=True):
        if row.place is not None:
            wholes.insert(sql, job_id, row.place)
    return written


def _distinct(rows: Sequence[NewRow]) -> Iterator[limits.Declarations]:
    seen = {frozenset(row.falls_under.items()) for row in rows if row.falls_under}
    return (dict(falls_under) for falls_under in seen)


def _found(new: Mapping[str, int], row: NewRow) -> Written | None:
    key = row.message.message_id
    job_id = new.get(key)
    return None if job_id is None else (job_id, key)


def _met(sql: Sql, row: NewRow) -> Written:
    """The row that was in the way. If it was open then and is final now, it is in the way no more
    (PostgreSQL).
    """
    for _ in range(MOST_MEETINGS):
        if there := _there(sql, row) or _found(_run(sql, [row]), row):
            return there
    raise RuntimeError(
        f"{row.message}: whenever it was written, another had its unique key and had just ended"
    )


def _there(sql: Sql, row: NewRow) -> Written | None:
    rows = sql.rows(
        "SELECT id, message_id FROM tom_nightshift_job WHERE message_id = %s",
        [sql.uuid(row.message.message_id)],
    ) or sql.rows(
        "SELECT id, message_id FROM tom_nightshift_job "
        "WHERE unique_key = %s AND unique_key > '' AND state IN ('waiting', 'running')",
        [row.values["unique_key"]],
    )
    return (int(rows[0][0]), str(uuid.UUID(str(rows[0][1])))) if rows else None


def _run(sql: Sql, rows: Sequence[NewRow]) -> dict[str, int]:
    """The ids of the rows that are new, by those of their messages."""
    if len(rows) == 1:
        job_id = sql.new_id(*_of_one(sql, rows[0]))
        return {} if job_id is None else {rows[0].message.message_id: job_id}
    keys = {sql.uuid(row.message.message_id): row.message.message_id for row in rows}
    statement, params = _of_many(sql, rows)
    return {keys[key]: job_id for job_id, key in sql.rows(f"{statement} RETURNING id, message_id", params)}


def _of_one(sql: Sql, row: NewRow) -> tuple[str, list[Any]]:
    """Without the tables that ``_of_many`` makes: PostgreSQL plans a caller's statement each time anew."""
    run_at, expires_at = _times(sql, row)
    hold, asked = (ready_or_held("%s", "%s"), [row.values["queue"]]) if row.is_due else ("%s", [])
    number, looks = fairness.next_ord(sql, row.values["owner_id"], row.values["priority"])
    columns = tuple(row.values)
    return (
        f"{_into(columns)} VALUES (%s, {marks(columns)}, {_CONSTANTS}, {sql.now}, {run_at}, {expires_at}, "
        f"{hold}, {number}) ON CONFLICT DO NOTHING",
        [*_plain(sql, row), *asked, row.first_hold, *looks],
    )


def _of_many(sql: Sql, rows: Sequence[NewRow]) -> tuple[str, list[Any]]:
    """What is asked of other rows is asked once for each lane and not for each row: a statement that asks it
    500 times takes twenty times as long to be understood as to be done (SQLite).
    """
    columns = tuple(rows[0].values)
    marked = marks(("message_id", *columns, "hold"))
    lines: list[str] = []
    lanes: dict[tuple[Any, Any], tuple[int, int]] = {}
    params: list[Any] = []
    for row in rows:
        lane = row.values["owner_id"], row.values["priority"]
        number, before = lanes.get(lane, (len(lanes), 0))
        lanes[lane] = number, before + 1
        run_at, expires_at = _times(sql, row)
        lines.append(f"({marked}, {run_at}, {expires_at}, {row.is_due}, {number}, {before})")
        params += [*_plain(sql, row), row.first_hold]
    numbers = [fairness.next_ord(sql, *lane) for lane in lanes]
    bases = ", ".join(f"({lane}, {number})" for lane, (number, _) in enumerate(numbers))
    names = ", ".join(("message_id", *columns))
    return (
        f"WITH new ({names}, hold, run_at, expires_at, is_due, lane, place) AS (VALUES {', '.join(lines)}), "
        f"lane (number, ord) AS (VALUES {bases}) {_into(columns)} "
        f"SELECT {_typed(sql, 'message_id', *columns)}, {_CONSTANTS}, {sql.now}, "
        f"{_typed(sql, 'run_at', 'expires_at')}, "
        f"CASE WHEN is_due THEN {ready_or_held('new.queue', 'new.hold')} ELSE new.hold END, "
        "place + (SELECT lane.ord FROM lane WHERE lane.number = new.lane) FROM new WHERE TRUE "
        "ON CONFLICT DO NOTHING",
        params + [look for _, looks in numbers for look in looks],
    )


@lru_cache(maxsize=64)
def _into(columns: tuple[str, ...]) -> str:
    worked_out = ("created_at", "run_at", "expires_at", "hold", "ord")
    return f"INSERT INTO tom_nightshift_job ({', '.join(('message_id', *columns, *_ALWAYS, *worked_out))})"


def _typed(sql: Sql, *columns: str) -> str:
    """SQL for the columns of ``new``. Those that are empty in all rows PostgreSQL takes for text."""
    if sql.vendor == "sqlite":
        return ", ".join(columns)
    return ", ".join(f"CAST({name} AS {kind})" for name, kind in _types(jobs_alias(), columns))


@lru_cache(maxsize=64)
def _types(alias: str, columns: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    fields = apps.get_model("tom_nightshift", "Job")._meta
    types = (str(fields.get_field(name).db_type(connections[alias])) for name in columns)
    # Without the length: a cast to one would cut in silence what the column refuses.
    return tuple((name, kind.partition("(")[0]) for name, kind in zip(columns, types, strict=True))


def _times(sql: Sql, row: NewRow) -> tuple[str, str]:
    """SQL for run_at and expires_at."""
    run_at = "NULL" if row.is_due else sql.after(row.delay or 0)
    return run_at, "NULL" if row.of_use is None else sql.after(row.of_use)


def _plain(sql: Sql, row: NewRow) -> list[Any]:
    """The message's id and the values, as the driver wants them."""
    values = row.values.values()
    plain = (sql.uuid(str(value)) if isinstance(value, uuid.UUID) else value for value in values)
    return [sql.uuid(row.message.message_id), *plain]
