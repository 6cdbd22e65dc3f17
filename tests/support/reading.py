"""How much a database reads, counted and not timed: what must not grow with a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

GRAIN = 20
"""Steps of SQLite's machine that are counted at a time; a row that is looked at takes some ten."""

_FETCHED = (
    "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables "
    "WHERE relname LIKE 'tom_nightshift%%'"
)


class Reading:
    """What was read: rows on PostgreSQL, steps of its machine on SQLite."""

    def __init__(self) -> None:
        self.amount = 0


@contextmanager
def read_by(connection: Any) -> Iterator[Reading]:
    """What a connection of Django's reads within the block, which is inside one transaction."""
    reading = Reading()
    count = _steps if connection.vendor == "sqlite" else _rows
    with count(connection, reading):
        yield reading


@contextmanager
def _steps(connection: Any, reading: Reading) -> Iterator[None]:
    def more() -> int:
        reading.amount += GRAIN
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(more, GRAIN)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, 0)


@contextmanager
def _rows(connection: Any, reading: Reading) -> Iterator[None]:
    before = _fetched(connection)
    yield
    reading.amount = _fetched(connection) - before


def _fetched(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_FETCHED, [])
        return int(cursor.fetchone()[0])
