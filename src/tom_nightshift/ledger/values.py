"""Numbers by name, shared by all processes: each change is one guarded statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tom_nightshift.ledger.session import OwnConnection, Sql, marks

MOST = 2**62
"""For those who have no bound."""

BATCH = 500
LONGEST_KEY = 300

_SUMMING = 0x6E73_76_61  # any number that nobody else locks
_TABLE = "tom_nightshift_value"


def add(sql: Sql, key: str, value: int, seconds: float) -> bool:
    """Write a value that is not there. Whether it was not.

    Parameters:
        seconds: after which it counts as not there.

    Raises:
        ValueError: the key is too long.
    """
    return bool(
        sql.rows(
            f"INSERT INTO {_TABLE} (key, value, expires_at) VALUES (%s, %s, {sql.after(seconds)}) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at "
            f"WHERE {_TABLE}.expires_at <= {sql.now} RETURNING 1",
            [_checked(key), value],
        )
    )


def change(sql: Sql, key: str, by: int, least: int, most: int, seconds: float) -> bool:
    """Change a value if it stays between two bounds; one that is not there counts as 0. Whether it did."""
    if not least <= by <= most:
        return change_existing(sql, key, by, least, most, seconds)
    live = _live(sql)
    return bool(
        sql.rows(
            f"INSERT INTO {_TABLE} (key, value, expires_at) VALUES (%s, %s, {sql.after(seconds)}) "
            f"ON CONFLICT (key) DO UPDATE SET value = {live} + excluded.value, "
            "expires_at = excluded.expires_at "
            f"WHERE {live} + excluded.value BETWEEN %s AND %s RETURNING 1",
            [_checked(key), by, least, most],
        )
    )


def change_existing(sql: Sql, key: str, by: int, least: int, most: int, seconds: float) -> bool:
    """Change a value that is there if it stays between two bounds. Whether it did."""
    return bool(
        sql.run(
            f"UPDATE {_TABLE} SET value = value + %s, expires_at = {sql.after(seconds)} "
            f"WHERE key = %s AND expires_at > {sql.now} AND value + %s BETWEEN %s AND %s",
            [by, key, by, least, most],
        )
    )


def change_by_sum(
    sql: Sql, key: str, keys: Callable[[], Iterable[str]], by: int, most: int, seconds: float
) -> bool:
    """Raise a value if the sum of several stays within a bound. Whether it did.

    Parameters:
        keys: gives the names of those that are summed, asked for when no other process may be summing.
    """
    if sql.vendor == "postgresql":
        sql.rows("SELECT pg_advisory_xact_lock(%s)", [_SUMMING])
    add(sql, key, 0, seconds)  # on SQLite, this write is the lock
    names = list(keys())
    (row,) = sql.rows(
        f"SELECT coalesce(sum(value), 0) FROM {_TABLE} "
        f"WHERE expires_at > {sql.now} AND key IN ({marks(names)})",
        names,
    )
    return int(row[0]) + by <= most and change(sql, key, by, -most, most, seconds)


def read(sql: Sql, key: str) -> int | None:
    """A value; None: it is not there."""
    rows = sql.rows(f"SELECT value FROM {_TABLE} WHERE key = %s AND expires_at > {sql.now}", [key])
    return int(rows[0][0]) if rows else None


def prune(connection: OwnConnection) -> int:
    """Remove values that are past their time. How many."""
    removed = 0
    while True:
        with connection.transaction() as sql:
            old = f"SELECT key FROM {_TABLE} WHERE expires_at <= {sql.now} LIMIT {BATCH}"
            batch = sql.run(f"DELETE FROM {_TABLE} WHERE key {sql.among_free(old)}")
        removed += batch
        if batch < BATCH:
            return removed


def _live(sql: Sql) -> str:
    return f"CASE WHEN {_TABLE}.expires_at > {sql.now} THEN {_TABLE}.value ELSE 0 END"


def _checked(key: Any) -> Any:
    if len(str(key)) > LONGEST_KEY:
        raise ValueError(f"the key {str(key)[:60]!r}… has {len(str(key))} characters: at most {LONGEST_KEY}.")
    return key
