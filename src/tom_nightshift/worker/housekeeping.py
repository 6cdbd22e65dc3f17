"""The loops of a worker process: say that it is alive, return the jobs of the dead, compare, prune.

Started by middleware, so that every worker has them, whichever command started it. A worker that starts looks at once: it
mostly takes the place of one that has just died.
"""

from __future__ import annotations

from typing import Any

from dramatiq import Worker
from dramatiq.middleware import Middleware

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import options, pruning, rescue, sqlite
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.moves import Token
from tom_nightshift.ledger.session import AWAY, OwnConnection
from tom_nightshift.loop import Loop

RESCUE_INTERVAL = 1.0
"""Seconds between looks for dead neighbours; a look reads a handful of rows and takes no lock unless one is dead."""

PRUNE_INTERVAL = 3600.0


class Housekeeping(Middleware):
    """Starts the loops with Dramatiq's worker and ends them with it."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []

    def after_worker_boot(self, broker: Any, worker: Worker) -> None:
        house = House(broker)
        self.loops = [
            Loop("heartbeat", house.beat, get_settings().heartbeat),
            Loop("rescue", house.rescue, RESCUE_INTERVAL),
            Loop("prune", house.prune, PRUNE_INTERVAL),
        ]
        for loop in self.loops:
            loop.start()

    def before_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        House(broker).leave()

    def after_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        for loop in self.loops:
            loop.stop()
        self.loops = []


class House:
    """What the loops do, each with a connection that lives only as long as one look."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.dispatcher: Dispatcher = broker.dispatcher
        self.missing: set[Token] = set()

    def beat(self) -> None:
        """Say that this worker is alive, and compare the rows that name it with what it holds."""
        if not self.dispatcher.registered.wait(get_settings().heartbeat):
            return
        connection = OwnConnection()
        try:
            with connection.transaction() as sql:
                alive = self.dispatcher.presence.beat(sql)
                if alive:
                    self.missing = rescue.reconcile(
                        sql, self.dispatcher.presence.name, list(self.dispatcher.in_hand), self.missing
                    )
                    rescue.orphans(sql)
            if not alive:
                events.worker_declared_dead(self.dispatcher.presence.name)
                self.dispatcher.anew = True
                self.dispatcher.bell.ring_here()
            sqlite.switch_to_wal(connection)
        except AWAY:  # the dispatcher says so
            pass
        finally:
            connection.close()

    def rescue(self) -> None:
        """Return the jobs of dead workers."""
        if not self.dispatcher.registered.is_set():
            return
        connection = OwnConnection()
        try:
            with connection.reading() as sql:
                needed = rescue.is_needed(sql, self.dispatcher.presence.name)
            if needed:
                with connection.transaction() as sql:
                    rescue.rescue(sql, self.dispatcher.presence.name, self._on_lost)
                self.dispatcher.bell.ring_here()
        except AWAY:
            pass
        finally:
            connection.close()

    def prune(self) -> None:
        """Remove what was kept long enough."""
        connection = OwnConnection()
        try:
            pruning.prune(connection)
        except AWAY:
            pass
        finally:
            connection.close()

    def leave(self) -> None:
        """Say that this worker was told to end."""
        connection = OwnConnection(patience=2.0)
        try:
            with connection.transaction() as sql:
                self.dispatcher.presence.leave(sql)
        except AWAY:
            pass
        finally:
            connection.close()

    def _on_lost(self, task: str) -> str:
        return str(options.option(self.broker, task, "on_lost", "again"))
