"""The INSERT of new jobs: the same statement for one and for many."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dramatiq import Message

from tom_nightshift.ledger import fairness, limits, wholes
from tom_nightshift.ledger.holding import ready_or_held
from tom_nightshift.ledger.session import Sql, marks
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
    def held_by_its_keys(self) -> Hold:
        """What it waits for before it is ready."""
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
    columns = tuple(rows[0].values)
    params: list[Any] = []
    keys: dict[Any, str] = {}
    lines, lanes = [], Counter[tuple[Any, Any]]()
    for row in rows:
        lane = row.values["owner_id"], row.values["priority"]
        number, looks = fairness.next_ord(sql, *lane, before=lanes[lane])
        lanes[lane] += 1
        lines.append(_line(columns, sql.now, *_times(sql, row), number))
        key = sql.uuid(row.message.message_id)
        keys[key] = row.message.message_id
        params += [key, *(_plain(sql, value) for value in row.values.values())]
        params += [*([row.values["queue"]] if row.is_due else []), *looks]
    statement = f"{_head(columns)} VALUES {', '.join(lines)} ON CONFLICT DO NOTHING RETURNING id, message_id"
    return {keys[key]: job_id for job_id, key in sql.rows(statement, params)}


@lru_cache(maxsize=64)
def _head(columns: tuple[str, ...]) -> str:
    worked_out = ("created_at", "run_at", "expires_at", "hold", "ord")
    return f"INSERT INTO tom_nightshift_job ({', '.join(('message_id', *columns, *_ALWAYS, *worked_out))})"


@lru_cache(maxsize=256)
def _line(columns: tuple[str, ...], now: str, run_at: str, expires_at: str, hold: str, number: str) -> str:
    constants = ", ".join(_ALWAYS.values())
    return f"(%s, {marks(columns)}, {constants}, {now}, {run_at}, {expires_at}, {hold}, {number})"


def _times(sql: Sql, row: NewRow) -> tuple[str, str, str]:
    """SQL for run_at, expires_at and hold."""
    expires_at = "NULL" if row.of_use is None else sql.after(row.of_use)
    if row.is_due:
        # In this very statement: no other way costs less, and none is nearer to the truth.
        return "NULL", expires_at, ready_or_held("%s", f"'{row.held_by_its_keys}'")
    return sql.after(row.delay or 0), expires_at, f"'{Hold.UNTIL}'"


def _plain(sql: Sql, value: Any) -> Any:
    return sql.uuid(str(value)) if isinstance(value, uuid.UUID) else value
