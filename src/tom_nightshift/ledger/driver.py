"""Statements handed straight to the driver, on connections that are Nightshift's own.

Django's cursor takes longer than SQLite needs for most of our statements, and has PostgreSQL plan each of
them anew. Here they are prepared: by ``sqlite3`` itself, and by psycopg from their second time on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Execute = Callable[[str, Sequence[Any] | None], Any]
"""Runs a statement, with parameters or with None; gives a cursor."""

PREPARE_AFTER = 1


def straight(connection: Any) -> Execute:
    """The way past Django on an open connection of its own."""
    if connection.vendor == "sqlite":
        return _sqlite(connection.connection)
    return _psycopg(connection) if hasattr(connection.Database, "Cursor") else _any(connection.connection)


def is_pooled(connection: Any) -> bool:
    """Whether something stands between us and PostgreSQL that may give each transaction another session.

    Such a pooler shows a number of its own for the server's process. Through one nothing of a session's can
    be relied on: prepared statements, ``LISTEN``, ``SET``.
    """
    raw = connection.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return bool(cursor.fetchone()[0] != raw.info.backend_pid)


def prepare_statements(connection: Any) -> None:
    """Have psycopg 3 prepare what is run more than once; psycopg 2 cannot."""
    if hasattr(connection.connection, "prepare_threshold"):
        connection.connection.prepare_threshold = PREPARE_AFTER


def _sqlite(raw: Any) -> Execute:
    def execute(statement: str, params: Sequence[Any] | None) -> Any:
        return raw.execute(statement) if params is None else raw.execute(_question_marks(statement), params)

    return execute


def _psycopg(connection: Any) -> Execute:
    # Django's own class of cursors writes the values into the statement: nothing could be prepared.
    cursor = connection.Database.Cursor(connection.connection)

    def execute(statement: str, params: Sequence[Any] | None) -> Any:
        return cursor.execute(statement, params, prepare=None if params else False)

    return execute


def _any(raw: Any) -> Execute:
    cursor = raw.cursor()

    def execute(statement: str, params: Sequence[Any] | None) -> Any:
        cursor.execute(statement, params)
        return cursor

    return execute


@lru_cache(maxsize=256)
def _question_marks(statement: str) -> str:
    return statement.replace("%s", "?").replace("%%", "%")
