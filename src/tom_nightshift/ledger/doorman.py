"""The dispatcher of a process to which a carrier brings doorbells: a job is claimed by its name, for the
thread that heard it and waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tom_nightshift.ledger import carrying
from tom_nightshift.ledger.carrying import Doorbell
from tom_nightshift.ledger.claimed import attempt_from_row
from tom_nightshift.ledger.dispatcher import Delivery, Dispatcher
from tom_nightshift.ledger.handing_over import HandedOver
from tom_nightshift.ledger.lookout import POLL
from tom_nightshift.ledger.moves import Row
from tom_nightshift.ledger.reporter import Reporter
from tom_nightshift.ledger.session import Sql


@dataclass(slots=True, eq=False)
class Heard:
    """A doorbell that a thread has heard, and what it is answered."""

    doorbell: Doorbell
    answered: threading.Event = field(default_factory=threading.Event)
    delivery: Delivery | None = None
    """None: it may not begin that job."""


class Sender(Protocol):
    """Who sends doorbells from this process."""

    is_quiet: bool
    """Whether nothing was ready when it last looked."""

    def rouse(self) -> None:
        """Something may have changed: after a ring, a notice, a claim."""


class Doorman(Dispatcher):
    """Claims what carriers' messages name; nothing else, and nothing ahead.

    Parameters: those of ``Dispatcher``, and who sends doorbells from here.
    """

    def __init__(
        self,
        threads: int,
        queues: Sequence[str],
        known_tasks: Callable[[], list[str]],
        reporter: Reporter,
        sender: Sender,
    ) -> None:
        super().__init__(threads, queues, known_tasks, reporter)
        self.sender = sender
        self._heard: deque[Heard] = deque()
        self._was_woken = False

    def claim_named(self, doorbell: Doorbell) -> Delivery | None:
        """The job that a doorbell names, for the calling thread, which waits until that is committed, also
        while the database is away; None: it was refused.
        """
        heard = Heard(doorbell)
        self._heard.append(heard)
        self.bell.ring_here()
        while self.is_alive() and not heard.answered.wait(1.0):
            pass
        return heard.delivery

    def _write_and_claim(self, handed: list[HandedOver]) -> bool:
        self._read_notices()
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        self._note_idle(idle=self.sender.is_quiet and not (handed or heard or self.in_hand))
        if not handed and not heard:
            return False
        try:
            return self._in_one_transaction(
                handed, lambda sql: self._claim_those(sql, heard), lambda rows: self._answer(heard, rows)
            )
        finally:
            self._heard.extendleft(one for one in reversed(heard) if not one.answered.is_set())

    def _claim_those(self, sql: Sql, heard: Sequence[Heard]) -> list[Row]:
        doorbells = [one.doorbell for one in heard]
        if not doorbells:
            return []
        if self._claiming:
            return carrying.claim(sql, self.presence.name, doorbells)
        # This process ends, and others are to hear of them.
        carrying.take_back(sql, [doorbell.job_id for doorbell in doorbells])
        return []

    def _answer(self, heard: Sequence[Heard], rows: Sequence[Row]) -> None:
        claimed = {key: attempt_from_row(tuple(row)) for key, *row in rows}
        for one in heard:
            one.delivery = claimed.pop(one.doorbell.message_id, None)  # of two that are equal the first
            if one.delivery is not None:
                attempt, _ = one.delivery
                self.in_hand[attempt.token] = attempt
                self.reporter.watch(attempt)
            one.answered.set()
        self.sender.is_quiet = False  # what has ended may have brought others
        self.sender.rouse()

    def _note_idle(self, *, idle: bool) -> None:
        (self.idle.set if idle else self.idle.clear)()

    def _wait(self) -> None:
        self._was_woken = self.bell.wait(POLL, also=self.connection.fileno())
        if self._was_woken:
            self.sender.rouse()

    def _read_notices(self) -> None:
        """They are read with the next statement; unread, they would wake this thread again and again."""
        if self._was_woken and self.connection.fileno() is not None:
            with self.connection.reading() as sql:
                sql.rows("SELECT 1")
        self._was_woken = False
