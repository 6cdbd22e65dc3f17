"""The loops of a worker process: say that it is alive, return the jobs of the dead, compare, prune, tidy.

Started by middleware, so that every worker has them, whichever command started it. A worker that starts looks
at once: it mostly takes the place of one that has just died.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from dramatiq import Worker
from dramatiq.middleware import Middleware

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import folders, limits, options, pruning, rescue, sqlite
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.session import AWAY, OwnConnection
from tom_nightshift.loop import Loop
from tom_nightshift.worker.enforcer import INTERVAL, Enforcer
from tom_nightshift.worker.heartbeat import Heartbeat

RESCUE_INTERVAL = 2.0
"""Seconds between looks for dead neighbours; a look reads a handful of rows and takes no lock unless one is
dead. Whoever takes the place of one that died looks at once.
"""

PRUNE_INTERVAL = 3600.0

TIDY_INTERVAL = 10.0
"""Seconds between looks for folders of jobs that are over; a look lists one folder, mostly an empty one."""

A_MOMENT = 1.0
"""Seconds in which a worker has its row, unless the database is away; no longer, as the loops end with it."""


class Housekeeping(Middleware):
    """Starts the loops with Dramatiq's worker and ends them with it."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.house: House | None = None

    def after_worker_boot(self, broker: Any, worker: Worker) -> None:
        self.house = house = House(broker, worker)
        self.loops = [
            _enforcing(broker.dispatcher),
            Loop("heartbeat", house.beat, get_settings().heartbeat),
            Loop("rescue", house.rescue, RESCUE_INTERVAL),
            Loop("prune", house.prune, PRUNE_INTERVAL),
            Loop("tidy", house.tidy, TIDY_INTERVAL),
        ]
        for loop in self.loops:
            loop.start()

    def after_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        for loop in self.loops:
            loop.stop()
        self.loops = []
        if self.house is not None:
            self.house.close()


class House:
    """What the loops do. Those that look often, and never for long, share one connection: to open one costs
    more than a look.
    """

    def __init__(self, broker: Any, worker: Any) -> None:
        self.broker = broker
        self.worker = worker
        self.dispatcher: Dispatcher = broker.dispatcher
        self.heartbeat = Heartbeat(self.dispatcher, broker.known_tasks, self._on_lost)
        self._look = OwnConnection()
        self._has_declared = False
        self._looking = threading.Lock()

    def beat(self) -> None:
        """Say that this worker is alive, and put right what went wrong."""
        if not self._is_registered():
            return
        with self._shared() as connection:
            if not self.heartbeat.beat(connection):
                events.worker_declared_dead(self.dispatcher.presence.name)
                self.dispatcher.declared_dead()
            self._declare_limits(connection)
            self.dispatcher.bell.ring_here()
            sqlite.switch_to_wal(connection)
        self._replace_dead_threads()

    def rescue(self) -> None:
        """Return the jobs of dead workers."""
        if not self._is_registered():
            return
        me = self.dispatcher.presence
        by_silence = me.may_judge_silence()
        with self._shared() as connection:
            with connection.reading() as sql:
                dead = rescue.the_dead(sql, me.name, by_silence=by_silence)
            for _ in dead:  # each by itself: who dies on the way has still done something
                with connection.transaction() as sql:
                    rescue.rescue(sql, me.name, self._on_lost, by_silence=by_silence, at_most=1)
                self.dispatcher.bell.ring_here()

    def prune(self) -> None:
        """Remove what was kept long enough."""
        with _for_once() as connection:
            pruning.prune(connection)
            with connection.transaction() as sql:
                limits.forget_unused(sql)

    def tidy(self) -> None:
        """Remove the folders of jobs that are over."""
        with _for_once() as connection:
            folders.remove_finished(connection)

    def close(self) -> None:
        """Close the connection that was kept."""
        self._look.close()

    @contextlib.contextmanager
    def _shared(self) -> Iterator[OwnConnection]:
        """The connection that is kept; a database that is away ends a look without a word: the dispatcher
        says so.
        """
        with self._looking, contextlib.suppress(*AWAY):
            yield self._look

    def _is_registered(self) -> bool:
        return self.dispatcher.registered.wait(A_MOMENT)

    def _declare_limits(self, connection: OwnConnection) -> None:
        """Once: what the tasks of the newest worker declare holds."""
        declared = [one for actor in self.broker.actors.values() for one in limits.declared(actor)]
        if declared and not self._has_declared:
            with connection.transaction() as sql:
                limits.renew(sql, declared)
        self._has_declared = True

    def _replace_dead_threads(self) -> None:
        """An interrupt that comes late ends a thread of Dramatiq's, silently; nobody else would start
        another.
        """
        dead = [thread for thread in self.worker.workers if thread.running and not thread.is_alive()]
        for thread in dead:
            self.worker.workers.remove(thread)
            self.worker._add_worker()
        if dead:
            events.thread_replaced(len(dead))

    def _on_lost(self, task: str) -> str:
        return str(options.option(self.broker, task, "on_lost", "again"))


def _enforcing(dispatcher: Dispatcher) -> Loop:
    """It sleeps while nothing is in hand: a process without work is to be quiet."""
    in_hand = dispatcher.in_hand
    loop = Loop("enforcer", Enforcer(dispatcher).tick, INTERVAL, needed=lambda: bool(in_hand))
    in_hand.on_added = loop.rouse
    return loop


@contextlib.contextmanager
def _for_once() -> Iterator[OwnConnection]:
    """A connection for one look; a database that is away ends it without a word, too."""
    connection = OwnConnection()
    try:
        with contextlib.suppress(*AWAY):
            yield connection
    finally:
        connection.close()
