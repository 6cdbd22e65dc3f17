"""News between machines: PostgreSQL's ``NOTIFY``, heard on the dispatcher's own connection.

A notice costs its sender a commit, and commits that carry one wait for one another. So a process sends at
most one in a while; whoever has heard one looks again and again for as long as another could have been kept
back. Behind a pooler nobody can listen, and nothing is lost but time: polling underneath is the path that is
correct.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from tom_nightshift.ledger.session import OwnConnection, jobs_alias

CHANNEL = "nightshift"
"""Of each database: PostgreSQL keeps those of different databases apart."""

AT_MOST_EVERY = 0.1
"""Seconds between two notices of one process."""

ALERT = 0.3
"""Seconds for which who has heard one looks again and again."""


class _Sender:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = float("-inf")

    def may_send(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._last + AT_MOST_EVERY:
                return False
            self._last = now
            return True


_sender = _Sender()


def send() -> None:
    """Tell all machines that there is work, on the caller's connection, which has just committed it. Never
    fails; sends nothing where another notice was sent a moment ago.
    """
    connection = connections[jobs_alias()]
    if connection.vendor == "postgresql" and not connection.in_atomic_block and _sender.may_send():
        with contextlib.suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


class ListeningConnection(OwnConnection):
    """A connection of Nightshift's own that hears notices where the database has them."""

    def __init__(self, patience: float = 20.0) -> None:
        super().__init__(patience)
        self._heard_at = float("-inf")
        self._listens = False

    @property
    def is_alert(self) -> bool:
        """Whether a notice was heard a moment ago: others may have been kept back since."""
        return time.monotonic() < self._heard_at + ALERT

    def fileno(self) -> int | None:
        """The file that can be read once a notice is there, or once the server is gone; None: none is heard.

        What is there to be read is read by the next statement.
        """
        raw = self._connection.connection if self._connection is not None else None
        return raw.fileno() if raw is not None and self._listens and not raw.closed else None

    def _open_session(self, connection: Any) -> None:
        super()._open_session(connection)
        self._listens = not self.is_pooled and hasattr(connection.connection, "add_notify_handler")
        if self._listens:
            connection.connection.add_notify_handler(self._hear)
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")

    def _hear(self, notice: object) -> None:
        self._heard_at = time.monotonic()
