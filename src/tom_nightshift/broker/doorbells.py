"""Dramatiq's hooks around a carrier's message: the row is claimed before the task, and its outcome committed
before the message is acknowledged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dramatiq import Message
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Middleware, SkipMessage

from tom_nightshift import events
from tom_nightshift.broker.carried import OF_A_DELIVERY, Carried
from tom_nightshift.broker.carrier import ROW
from tom_nightshift.broker.consumer import OutcomeConsumer
from tom_nightshift.ledger import enqueue
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.carrying import Doorbell
from tom_nightshift.ledger.dispatcher import Delivery
from tom_nightshift.ledger.doorman import Doorman
from tom_nightshift.ledger.outcomes import Outcome


class Refused(SkipMessage):
    """The row that a doorbell names may not begin, or not again."""


class DoorbellHooks(Middleware):
    """Stands first: what comes after it finds the message as the row has it."""

    def before_process_message(self, broker: Any, message: Any) -> None:
        if _attempt_of(message) is None and not broker.is_untracked(message):
            self._take(broker, message)

    def before_ack(self, broker: Any, message: Any) -> None:
        self._end(broker, message, acked=True)

    def before_nack(self, broker: Any, message: Any) -> None:
        if isinstance(message._exception, ActorNotFound) and _attempt_of(message) is None:
            try:
                self._take(broker, message)
            except Refused:
                return
        self._end(broker, message, acked=False)

    def _take(self, broker: Carried, message: Any) -> None:
        """Claim the row, and go on with its message.

        Raises:
            Refused: the row is held, or runs, or is over, or is not there.
        """
        delivery = _claim(broker, message)
        if delivery is None:
            # Or Dramatiq's Results would store None for the job that has run, or is to run.
            message.options["store_results"] = False
            raise Refused("its job may not begin, or not again")
        attempt, encoded = delivery
        read = _Committed(broker).read(attempt, encoded)
        if read is None:
            raise Refused("its job cannot be read")
        own = {name: message.options[name] for name in OF_A_DELIVERY if name in message.options}
        message._message = replace(read._message, options=read._message.options | own)
        message.attempt = attempt
        attempt.message_id, attempt.message = message.message_id, message

    def _end(self, broker: Carried, message: Any, *, acked: bool) -> None:
        attempt = _attempt_of(message)
        if attempt is None or attempt.inline or getattr(message, "is_committed", False):
            return
        consumer = _Committed(broker)
        (consumer.ack if acked else consumer.nack)(message)
        message.is_committed = True  # Dramatiq says it again if the carrier was away


class _Committed(OutcomeConsumer):
    """Takes an outcome to its row, and comes back when it is committed."""

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        self.broker.dispatcher.hand_over(attempt, outcome, waits=True)


def _claim(broker: Carried, message: Any) -> Delivery | None:
    dispatcher = broker.dispatcher
    assert isinstance(dispatcher, Doorman), "a worker boots before it consumes"
    job_id, message_id = message.options.get(ROW), message.message_id
    if job_id is None:
        job_id, message_id = _row_of_foreign(broker, message)
    return dispatcher.claim_named(Doorbell(int(job_id), message_id))


def _row_of_foreign(broker: Carried, message: Any) -> tuple[int, str]:
    """A message that was sent without Nightshift becomes a job.

    Raises:
        Refused: it cannot be one.
    """
    plain: Message[Any] = message._message.copy()
    for name in OF_A_DELIVERY:
        plain.options.pop(name, None)
    try:
        actor = broker.actors.get(message.actor_name)
        job_id, written = enqueue.write_row(plain, actor, None)
    except Exception as error:  # whatever is wrong with what is not ours
        events.foreign_message(message.message_id, message.actor_name, error)
        message.options["store_results"] = False
        raise Refused(str(error)) from error
    return job_id, written.message_id


def _attempt_of(message: Any) -> Attempt | None:
    attempt: Attempt | None = getattr(message, "attempt", None)
    return attempt
