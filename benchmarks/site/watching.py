"""Every statement that a process of the site sends to its database, on any connection, seen at the driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

from benchmarks.agreed import COUNTER

try:
    import psycopg
except ImportError:  # a site on SQLite needs none
    psycopg = None  # type: ignore[assignment]

NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA DATA_VERSION")
"""The frame of a transaction, and what reads one number from shared memory."""

Note = Callable[[str], object]


def watch(note: Note) -> None:
    """From now on, call this with each statement of each connection that is opened."""

    def begin(sender: Any, connection: Any, **_: Any) -> None:
        if connection.vendor == "sqlite":
            connection.connection.set_trace_callback(lambda statement: _count(statement, note))

    connection_created.connect(begin, weak=False)
    if psycopg is not None:
        _count_all_of(psycopg.Cursor, note)


def watch_as_told() -> None:
    """Count into the file that the environment names, if it does."""
    if place := os.environ.get(COUNTER):
        file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        watch(lambda statement: os.write(file, b"."))


def _count_all_of(kind: Any, note: Note) -> None:
    """All cursors of this kind note what they execute: Nightshift's own are not of the connection's kind."""
    for name in ("execute", "executemany"):
        setattr(kind, name, _noting(getattr(kind, name), note))


def _noting(execute: Any, note: Note) -> Any:
    def noted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        _count(str(query), note)
        return execute(self, query, *args, **kwargs)

    return noted


def _count(statement: str, note: Note) -> None:
    if not statement.lstrip().upper().startswith(NOT_COUNTED):
        note(statement)
