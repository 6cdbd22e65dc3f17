"""The INSERT of new jobs: the same statement for one and for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tom_nightshift.ledger.holding import ready_or_paused
from tom_nightshift.ledger.session import Sql, marks
from tom_nightshift.states import Hold

ROWS = 500
"""Most rows in one statement."""

_ALWAYS = {
    "ord": "0", "state": "'waiting'", "attempt": "0", "failures": "0", "losses": "0", "snoozes": "0",
    "worker": "''", "stop_requested": "FALSE", "stop_stage": "0", "stop_by": "''", "reason": "''",
    "error": "''", "note": "''", "unique_key": "''", "limit_key": "''", "rate_key": "''", "notify": "''",
    "carrier_epoch": "''",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewRow:
    """A job that is asked for."""

    message_id: str
    values: Mapping[str, Any]
    """By column; of all rows of one statement the same columns."""

    delay: float | None = None
    """Seconds until it may begin; None: at once."""

    of_use: float | None = None
    """Seconds until it is too old; None: never."""


def insert(sql: Sql, row: NewRow) -> int:
    """Insert a row; one that has this message already stays as it is. The row's id."""
    key = sql.uuid(row.message_id)
    inserted = sql.rows(f"{_statement(sql, [row])} RETURNING id", _params(sql, [row]))
    if not inserted:
        inserted = sql.rows("SELECT id FROM tom_nightshift_job WHERE message_id = %s", [key])
    return int(inserted[0][0])


def insert_many(sql: Sql, rows: Sequence[NewRow]) -> list[int]:
    """Insert rows, in their order, ``ROWS`` with one statement; those whose message has a row stay as they
    are. The ids of the new ones.
    """
    ids: list[int] = []
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        ids += [job_id for (job_id,) in sql.rows(f"{_statement(sql, some)} RETURNING id", _params(sql, some))]
    return ids


def _statement(sql: Sql, rows: Sequence[NewRow]) -> str:
    columns = tuple(rows[0].values)
    kinds = [_row(columns, sql.now, *_times(sql, row)) for row in rows]
    return f"{_head(columns)} VALUES {', '.join(kinds)} ON CONFLICT (message_id) DO NOTHING"


@lru_cache(maxsize=64)
def _head(columns: tuple[str, ...]) -> str:
    times = ("created_at", "run_at", "expires_at", "hold")
    return f"INSERT INTO tom_nightshift_job ({', '.join(('message_id', *columns, *_ALWAYS, *times))})"


@lru_cache(maxsize=256)
def _row(columns: tuple[str, ...], now: str, run_at: str, expires_at: str, hold: str) -> str:
    constants = ", ".join(_ALWAYS.values())
    return f"(%s, {marks(columns)}, {constants}, {now}, {run_at}, {expires_at}, {hold})"


def _times(sql: Sql, row: NewRow) -> tuple[str, str, str]:
    """SQL for run_at, expires_at and hold."""
    expires_at = "NULL" if row.of_use is None else sql.after(row.of_use)
    if _is_due(row):
        # In this very statement: no other way costs less, and none is nearer to the truth.
        return "NULL", expires_at, ready_or_paused("%s")
    return sql.after(row.delay or 0), expires_at, f"'{Hold.UNTIL}'"


def _params(sql: Sql, rows: Sequence[NewRow]) -> list[Any]:
    params: list[Any] = []
    for row in rows:
        params.append(sql.uuid(row.message_id))
        params += row.values.values()
        if _is_due(row):
            params.append(row.values["queue"])
    return params


def _is_due(row: NewRow) -> bool:
    return row.delay is None or row.delay <= 0
