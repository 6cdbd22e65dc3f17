"""SQLite under a site: connections that never lock it.

In write-ahead mode a transaction that reads first and writes later gets "database is locked" at once,
whatever its patience. So every transaction on the alias that holds the jobs begins as a writer (``BEGIN
IMMEDIATE``) and waits its turn.
"""

from __future__ import annotations

import contextlib
from typing import Any

from django.db.backends.signals import connection_created

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.ledger.session import AWAY, OwnConnection, jobs_alias

PATIENCE = 20_000
"""Milliseconds that a connection waits for the write lock."""


def set_up_connections() -> None:
    """From now on set up every SQLite connection of the jobs' alias when it opens. Never raises."""
    connection_created.connect(_set_up, dispatch_uid="nightshift-sqlite")


def switch_to_wal(connection: OwnConnection) -> None:
    """Switch the file to its write-ahead log if it is not there yet; a refusal is tried again by the next."""
    if not get_settings().sqlite_setup:
        return
    with connection.reading() as sql:
        if sql.vendor == "sqlite":
            _try_wal(sql.connection)


def switch_after_migrate(**_: Any) -> None:
    """Receiver for ``post_migrate``."""
    connection = OwnConnection(patience=0)
    with contextlib.suppress(*AWAY):
        switch_to_wal(connection)
    connection.close()


def _set_up(*, connection: Any, **_: Any) -> None:
    if connection.vendor != "sqlite":
        return
    try:
        if not get_settings().sqlite_setup or connection.alias != jobs_alias():
            return
        if connection.transaction_mode is None:
            connection.transaction_mode = "IMMEDIATE"
        _pragma(connection, f"busy_timeout = {PATIENCE}")
        _try_wal(connection)
    except Exception as error:  # noqa: BLE001 - a site without our set-up is better than none
        events.sqlite_not_in_wal(events.first_line(error))


def _try_wal(connection: Any) -> None:
    """To look, and to switch, can fail or wait on a live file, so both are tried without any patience."""
    if connection.is_in_memory_db():
        return
    patience = _pragma(connection, "busy_timeout")
    try:
        _pragma(connection, "busy_timeout = 0")
        if _pragma(connection, "journal_mode") != "wal":
            _pragma(connection, "journal_mode = wal")
    except AWAY as error:
        events.sqlite_not_in_wal(events.first_line(error))
    finally:
        _pragma(connection, f"busy_timeout = {int(patience)}")


def _pragma(connection: Any, words: str) -> Any:
    # The driver's own cursor: Django's would log it, and count it among a test's queries.
    try:
        row = connection.connection.execute(f"PRAGMA {words}").fetchone()
    except connection.Database.Error as error:
        raise AWAY[0](str(error)) from error
    return row[0] if row else None
