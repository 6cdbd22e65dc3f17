"""Two transactions at once, in an order that is always the same.

The first has done its work and has not ended; the second begins, and goes as far as it can. On PostgreSQL
that is until it waits for a row of the first, on SQLite it waits for the whole first transaction. Then the
first ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.support.waiting import wait_until
from tom_nightshift.ledger.session import OwnConnection, Sql

Act = Callable[[Sql], Any]


class Undo(Exception):
    """Ends a transaction without leaving anything of it."""


def overlap(
    mine: OwnConnection, first: Act, other: OwnConnection, second: Act, *, commits: bool
) -> list[Any]:
    """What the first and the second answered.

    Parameters:
        commits: whether the first one's transaction is kept.
    """
    rival = Rival(other, second)
    try:
        with mine.transaction() as sql:
            answer = first(sql)
            rival.start()
            rival.goes_as_far_as_it_can(sql)
            if not commits:
                raise Undo
    except Undo:
        pass
    finally:
        rival.end()
    return [answer, rival.answer]


class Rival:
    """The second transaction, in a thread of its own."""

    def __init__(self, connection: OwnConnection, act: Act) -> None:
        self.connection = connection
        self.act = act
        self.answer: Any = None
        self.error: BaseException | None = None
        self.backend: int | None = None
        self.thread = threading.Thread(target=self._run)

    def start(self) -> None:
        with self.connection.reading() as sql:
            if sql.vendor == "postgresql":
                self.backend = sql.connection.connection.info.backend_pid
        self.thread.start()

    def goes_as_far_as_it_can(self, sql: Sql) -> None:
        """Until it waits for a lock or is through. On SQLite it can do nothing before the first has ended."""
        if self.backend is not None:
            wait_until(lambda: not self.thread.is_alive() or self._waits(sql), what="the second transaction")

    def end(self) -> None:
        if self.thread.ident is not None:
            self.thread.join()
        if self.error is not None:
            raise self.error

    def _waits(self, sql: Sql) -> bool:
        return bool(sql.rows("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [self.backend]))

    def _run(self) -> None:
        try:
            with self.connection.transaction() as sql:
                self.answer = self.act(sql)
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits for it
            self.error = error
