"""What a worker does with each heartbeat: it says that it is alive, and puts right what went wrong.

Each look has a transaction of its own, and fails alone: whatever a row refuses, the worker goes on beating. A
look reads first and takes a lock only if there is something to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from tom_nightshift import events
from tom_nightshift.ledger import bell, holding, moves, rescue
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.moves import Token
from tom_nightshift.ledger.session import UNREACHABLE, OwnConnection, Sql


class Heartbeat:
    """The looks of one worker process.

    Parameters:
        known_tasks: gives the names of the tasks that this process can run.
        on_lost: says of a task what becomes of a job whose end was lost.
    """

    def __init__(
        self, dispatcher: Dispatcher, known_tasks: Callable[[], list[str]], on_lost: rescue.OnLost
    ) -> None:
        self.dispatcher = dispatcher
        self.known_tasks = known_tasks
        self.on_lost = on_lost
        self.missing: set[Token] = set()
        """Rows that named this worker at the last look though no thread of it ran them."""

    def beat(self, connection: OwnConnection) -> bool:
        """Say that this worker is alive, and look. False: others took it for dead and removed its row."""
        with connection.transaction() as sql:
            alive = self.dispatcher.presence.beat(sql)
        if alive:
            self._look(connection)
        else:
            self.dispatcher.in_hand.let_go(self.missing - set(self.dispatcher.in_hand.held()))
        return alive

    def _look(self, connection: OwnConnection) -> None:
        """All that can be wrong is wrong with a job that waits or runs."""
        with contextlib.suppress(*UNREACHABLE), connection.reading() as sql:
            if not moves.anything_open(sql):
                self.missing = set()
                return
        looks = (
            self._return_missing,
            self._return_orphans,
            self._release_parked,
            self._release_due,
            self._put_holds_right,
            self._expire,
        )
        for look in looks:
            try:
                with contextlib.suppress(*UNREACHABLE):  # the dispatcher says so
                    look(connection)
            except Exception as error:  # noqa: BLE001 - the others must be made all the same
                events.loop_failed(f"heartbeat ({look.__name__.strip('_')})", error)

    def _return_missing(self, connection: OwnConnection) -> None:
        """A row that no thread runs may be on its way; at the second look it is not."""
        in_hand = set(self.dispatcher.in_hand.held())
        with connection.reading() as sql:
            missing = rescue.missing(sql, self.dispatcher.presence.name, in_hand)
        again = {token: task for token, task in missing.items() if token in self.missing}
        self.missing = missing.keys() - again.keys()
        if again:
            with connection.transaction() as sql:
                rescue.return_missing(sql, again, self.on_lost)
            self.dispatcher.in_hand.let_go(again)

    def _return_orphans(self, connection: OwnConnection) -> None:
        with connection.reading() as sql:
            orphans = rescue.orphans(sql)
        if orphans:
            with connection.transaction() as sql:
                rescue.return_orphans(sql, orphans, self.on_lost)

    def _release_parked(self, connection: OwnConnection) -> None:
        """Parked by another worker, which did not know the task."""
        tasks = self.known_tasks()
        self._sweep(
            connection,
            lambda sql: moves.anything_parked(sql, tasks),
            lambda sql: moves.release_parked(sql, tasks),
        )

    def _release_due(self, connection: OwnConnection) -> None:
        """Of queues that no worker with a free thread listens to."""
        self._sweep(connection, moves.anything_due, moves.release_due)

    def _put_holds_right(self, connection: OwnConnection) -> None:
        if jobs := self._sweep(connection, holding.is_wrong, holding.put_right):
            events.holds_put_right(jobs)
            bell.ring()

    def _expire(self, connection: OwnConnection) -> None:
        if jobs := self._sweep(connection, moves.anything_too_old, moves.expire):
            events.jobs_expired(jobs)

    def _sweep(
        self, connection: OwnConnection, is_needed: Callable[[Sql], bool], sweep: Callable[[Sql], int]
    ) -> int:
        with connection.reading() as sql:
            if not is_needed(sql):
                return 0
        with connection.transaction() as sql:
            return sweep(sql)
