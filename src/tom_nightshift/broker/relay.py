"""Sends doorbells: from the rows of jobs that are ready to the carrier that takes them to the workers.

Worker processes do it, all of them, and no web server: to ask for a job is to write a row, so a carrier that
is away keeps nobody waiting, and a web server needs no connection to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from tom_nightshift import events
from tom_nightshift.broker.carrier import Away, Carrier
from tom_nightshift.ledger import admission, carrying, moves
from tom_nightshift.ledger.lookout import POLL, Lookout
from tom_nightshift.ledger.moves import Row, Worth
from tom_nightshift.ledger.session import AWAY as DATABASE_AWAY
from tom_nightshift.ledger.session import OwnConnection, Sql

SWEEP = 5.0
"""Seconds between looks for doorbells that were lost."""

LEFT_AFTER = 5.0
"""Seconds after which a doorbell is lost of which an empty carrier has nothing left."""

OVERTAKEN_BY, OVERTAKEN_AFTER = 10, 60.0
"""So many jobs of the same queue and priority that began so many seconds later tell that one is lost."""


class Relay(threading.Thread):
    """The thread of one worker process that publishes, for the queues that it listens to."""

    def __init__(self, carrier: Carrier) -> None:
        super().__init__(name="nightshift-relay", daemon=True)
        self.carrier = carrier
        self.queues: list[str] = []
        self.connection = OwnConnection()
        self.is_quiet = False
        """Whether nothing was ready when it last looked, sent or not."""

        self._lookout = Lookout(self._worth)
        self._roused = threading.Event()
        self._told_to_stop = threading.Event()
        self._swept_at = float("-inf")
        self._away_since: float | None = None

    def serve(self, queue: str) -> None:
        """From now on this process listens to this queue."""
        if queue not in self.queues:
            self.queues = [*self.queues, queue]
            self.rouse()

    def rouse(self) -> None:
        """Something may have changed."""
        self._roused.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread after what it is sending."""
        self._told_to_stop.set()
        self._roused.set()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        while not self._told_to_stop.is_set():
            if not self._safely() and self._roused.wait(self._lookout.patience()):
                self._roused.clear()
                self._lookout.forget()
        self.connection.close()

    def _safely(self) -> bool:
        """One turn. Whether there may be more to do at once."""
        try:
            self._sweep()
            sent = self._publish()
        except Away as error:
            self._wait_for_carrier(error)
            return True
        except DATABASE_AWAY:  # the dispatcher says so
            self.connection.close()
            self._pause(POLL)
            return True
        except Exception as error:  # noqa: BLE001 - without this thread nothing would be carried any more
            events.loop_failed(self.name, error)
            self._pause(POLL)
            return True
        if self._away_since is not None:
            self._away_since = None
            events.carrier_back(self.carrier.name)
        return sent

    def _publish(self) -> bool:
        queues = self.queues
        with self.connection.reading() as sql:
            if not queues or not self._lookout.look(sql, queues):
                return False
        epoch = self.carrier.epoch()
        with self.connection.transaction() as sql:
            if self._lookout.any_due:
                moves.release_due(sql)
            if self._lookout.any_held:
                admission.admit(sql, carrying.OUT)
            rows = carrying.publish(sql, queues, epoch)
        self._lookout.forget()
        self._send(rows)
        return bool(rows)

    def _worth(self, sql: Sql, queues: Sequence[str]) -> Worth:
        worth = moves.worth_claiming(sql, queues)
        self.is_quiet = not worth.is_ready
        return worth._replace(is_ready=worth.is_ready and carrying.anything_to_publish(sql, queues))

    def _send(self, rows: Sequence[Row]) -> None:
        unsent = [row[0] for row in rows]
        try:
            for job_id, message_id, queue, task in rows:
                self.carrier.send(job_id, message_id, queue, task)
                unsent.remove(job_id)
        finally:
            if unsent:
                with self.connection.transaction() as sql:
                    carrying.take_back(sql, unsent)

    def _sweep(self) -> None:
        """The doorbells that were lost are sent again."""
        now = time.monotonic()
        if now < self._swept_at + SWEEP:
            return
        self._swept_at = now
        with self.connection.reading() as sql:
            waiting = carrying.queues_that_wait(sql, self.queues)
        if not waiting:
            return
        epoch, empty = self.carrier.epoch(), self._empty(waiting)
        with self.connection.transaction() as sql:
            lost = carrying.take_back_forgotten(sql, epoch)
            lost += sum(carrying.take_back_left(sql, queue, LEFT_AFTER) for queue in empty)
            lost += carrying.take_back_overtaken(sql, OVERTAKEN_BY, OVERTAKEN_AFTER)
        if lost:
            events.doorbells_lost(self.carrier.name, lost)
            self._lookout.forget()

    def _empty(self, queues: Iterable[str]) -> list[str]:
        return [queue for queue in queues if self.carrier.is_empty(queue)]

    def _wait_for_carrier(self, error: BaseException) -> None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        seconds = min(5.0, 0.5 + (now - self._away_since) / 2)
        events.carrier_away(self.carrier.name, error, seconds)
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        """Not to be roused: every claim does that, and what is away is not to be asked in a hurry."""
        self._told_to_stop.wait(seconds)
