"""Dramatiq's consumers, kept from taking more messages than this process has free threads.

They would fetch ahead, and a job whose message waits behind a long one could not begin elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from dramatiq import Consumer, MessageProxy
from dramatiq.errors import BrokerConnectionError

from tom_nightshift.broker.carrier import Carrier


class Seats:
    """The threads of a process, by the messages that are with them or on their way to them.

    Parameters:
        count: gives how many messages may be here at a time.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._taken = 0
        self._changed = threading.Condition()

    def is_free(self, seconds: float) -> bool:
        """Whether one is free, if need be after a wait of so long."""
        with self._changed:
            return self._changed.wait_for(self._is_free, seconds)

    def take(self) -> bool:
        """Take one for a message that is here. False: none is free any more."""
        with self._changed:
            if not self._is_free():
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        """It is not any more."""
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    def _is_free(self) -> bool:
        return self._taken < self._count()


class FrugalConsumer(Consumer):
    """A consumer of Dramatiq's that is asked only while a thread is free.

    Parameters:
        carrier: where it fetches.
        timeout: milliseconds.
    """

    def __init__(self, consumer: Consumer, seats: Seats, carrier: Carrier, timeout: int) -> None:
        self.consumer, self.seats, self.carrier = consumer, seats, carrier
        self.timeout = timeout / 1000

    def __next__(self) -> MessageProxy | None:
        if not self.seats.is_free(self.timeout):
            return None
        self.carrier.allow_one(self.consumer)
        message: MessageProxy | None = next(self.consumer)
        if message is not None and not self.seats.take():  # one of another queue was faster
            self.carrier.give_back(self.consumer, message)
            return None
        return message

    def ack(self, message: MessageProxy) -> None:
        self._done(self.consumer.ack, message)

    def nack(self, message: MessageProxy) -> None:
        self._done(self.consumer.nack, message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self.consumer.requeue(messages)

    def close(self) -> None:
        self.consumer.close()

    def _done(self, say: Callable[[MessageProxy], None], message: MessageProxy) -> None:
        try:
            say(message)
        except BrokerConnectionError:  # its thread says it again
            raise
        except BaseException:
            self.seats.leave()
            raise
        self.seats.leave()
