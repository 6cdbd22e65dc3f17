"""The one clock: every stored time and every comparison of times is this SQL expression.

The database's clock, since web server and workers may stand on different machines. Tests step it.
"""

from __future__ import annotations

from typing import Any

_offset = 0.0


def step(seconds: float) -> None:
    """Step the clock by so many seconds (tests only); it is zero otherwise."""
    global _offset
    _offset += seconds


def offset() -> float:
    """How far the clock has been stepped, in seconds."""
    return _offset


def now_sql(vendor: str, plus: float = 0.0) -> str:
    """SQL for now, or for so many seconds from now; to be used in a statement that takes parameters (``%`` is
    doubled).
    """
    seconds = _offset + float(plus)
    if vendor == "sqlite":
        shift = f", '{seconds:+.3f} seconds'" if seconds else ""
        return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{shift})"
    return f"(clock_timestamp() + interval '{seconds:.3f} seconds')" if seconds else "clock_timestamp()"


def once_sql(vendor: str) -> str:
    """SQL for now, to compare a stored time with that an index is ordered by.

    Asked for once a statement: PostgreSQL looks into no index for a value that may change from row to row.
    """
    return f"(SELECT {now_sql(vendor)})"


def shifted_sql(vendor: str, column: str, seconds: float) -> str:
    """SQL for so many seconds after a stored time."""
    if vendor == "sqlite":
        return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', {column}, '{float(seconds):+.3f} seconds')"
    return f"({column} + interval '{float(seconds):.3f} seconds')"


def age_sql(vendor: str, column: str) -> str:
    """SQL for the age of a stored time in seconds."""
    if vendor == "sqlite":
        return f"((julianday({now_sql(vendor)}) - julianday({column})) * 86400.0)"
    return f"extract(epoch from ({now_sql(vendor)} - {column}))"


def epoch_sql(vendor: str) -> str:
    """SQL for now, in seconds since 1970."""
    if vendor == "sqlite":
        return f"((julianday({now_sql(vendor)}) - 2440587.5) * 86400.0)"
    return f"extract(epoch from {now_sql(vendor)})"


def read_now(connection: Any) -> Any:
    """The time by the database's clock (whatever type its driver gives)."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql(connection.vendor)}", [])
        return cursor.fetchone()[0]
