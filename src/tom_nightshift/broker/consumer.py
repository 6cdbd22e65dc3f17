"""Dramatiq's ``Consumer``: a mailbox in front of the process's dispatcher, and the door by which outcomes
leave.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterable
from typing import Any

from dramatiq import Broker, Consumer, Message, MessageProxy
from dramatiq.common import current_millis
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import AgeLimit

from tom_nightshift import events
from tom_nightshift.ledger import options, storable
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.dispatcher import Delivery, Dispatcher
from tom_nightshift.ledger.hooks import JobMessage
from tom_nightshift.ledger.outcomes import Outcome, decide, hand_back
from tom_nightshift.states import State


class OutcomeConsumer(Consumer):
    """Turns what Dramatiq says of a message into the outcome of its attempt.

    Parameters:
        broker: has the tasks, and ``has_retries``.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def ack(self, message: MessageProxy) -> None:
        self.end(message.attempt, self._decide(message, acked=True))

    def nack(self, message: MessageProxy) -> None:
        self.end(message.attempt, self._decide(message, acked=False))

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take the outcome to the row."""
        raise NotImplementedError

    def _decide(self, message: MessageProxy, *, acked: bool) -> Outcome:
        attempt: Attempt = message.attempt
        if isinstance(message._exception, ActorNotFound):  # the only one that no hook tells
            attempt.exception = message._exception
        try:
            too_old = is_too_old(self.broker, message)
            return decide(attempt, acked=acked, too_old=too_old, has_retries=self.broker.has_retries)
        except Exception as error:  # noqa: BLE001 - Dramatiq would pass over it, and the job would run for ever
            events.outcome_undecided(attempt.job_id, error)
            return Outcome(
                State.FAILED, "undecided", f"how it ended could not be read: {events.first_line(error)}"
            )

    def read(self, attempt: Attempt, encoded: bytes) -> JobMessage | None:
        """The message of an attempt; one that cannot be read has ended there and then."""
        try:
            message = Message.decode(encoded)
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises
            events.broken_message(attempt.job_id, error)
            words = f"the job's arguments cannot be read: {events.first_line(error)}"
            self.end(attempt, Outcome(State.FAILED, "unreadable", storable.text(words)))
            return None
        message.options.pop("eta", None)
        return JobMessage(message, attempt)


class MailboxConsumer(OutcomeConsumer):
    """The consumer of one queue in a worker process."""

    def __init__(self, broker: Any, dispatcher: Dispatcher, queue_name: str, timeout: int) -> None:
        super().__init__(broker)
        self.dispatcher = dispatcher
        self.timeout = timeout / 1000
        self.mailbox = dispatcher.open_mailbox(queue_name)
        self._read: deque[Delivery] = deque()
        """What was in the last letter and Dramatiq has not asked for yet."""

    def __next__(self) -> MessageProxy | None:
        if not self._read:
            try:
                self._read.extend(self.mailbox.get(timeout=self.timeout))
            except queue.Empty:
                return None
        attempt, encoded = self._read.popleft()
        message = self.read(attempt, encoded)
        if message is not None:
            self.dispatcher.reporter.watch(attempt)
        return message

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        self.dispatcher.hand_over(attempt, outcome)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for message in messages:
            self.end(message.attempt, hand_back())

    def close(self) -> None:
        """Give back what was put into the mailbox and Dramatiq never asked for."""
        while not self.mailbox.empty():
            self._read.extend(self.mailbox.get_nowait())
        while self._read:
            self.end(self._read.popleft()[0], hand_back())


def is_too_old(broker: Broker, message: Any) -> bool:
    """Whether a message is past its ``max_age`` (the condition of Dramatiq's AgeLimit)."""
    limit = message.options.get("max_age") or options.option(broker, message.actor_name, "max_age", None)
    if not limit:
        limit = next((one.max_age for one in broker.middleware if isinstance(one, AgeLimit)), None)
    return bool(limit) and current_millis() - message.message_timestamp >= limit
