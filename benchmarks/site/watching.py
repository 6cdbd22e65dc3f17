"""Every statement that a process of the site sends to its database, on any connection, seen at the driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

from benchmarks.agreed import COUNTER

NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA DATA_VERSION")
"""The frame of a transaction, and what reads one number from shared memory."""

Note = Callable[[str], object]


def watch(note: Note) -> None:
    """From now on, call this with each statement of each connection that is opened."""

    def begin(sender: Any, connection: Any, **_: Any) -> None:
        if connection.vendor == "sqlite":
            connection.connection.set_trace_callback(lambda statement: _count(statement, note))
        else:
            opened = connection.connection
            opened.cursor_factory = _counting(opened.cursor_factory, note)

    connection_created.connect(begin, weak=False)


def watch_as_told() -> None:
    """Count into the file that the environment names, if it does."""
    if place := os.environ.get(COUNTER):
        file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        watch(lambda statement: os.write(file, b"."))


def _counting(factory: Any, note: Note) -> Any:
    """A kind of psycopg's cursor that notes what it executes."""

    class Counting(factory):  # type: ignore[misc]
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            _count(str(query), note)
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            _count(str(query), note)
            return super().executemany(query, *args, **kwargs)

    return Counting


def _count(statement: str, note: Note) -> None:
    if not statement.lstrip().upper().startswith(NOT_COUNTED):
        note(statement)
