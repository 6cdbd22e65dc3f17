"""One of Dramatiq's own brokers as a carrier of Nightshift's jobs.

A job is a row here, too. Dramatiq's broker, unchanged underneath, takes the news of it to a worker, where
the row is claimed before the task runs and its outcome committed before the message is acknowledged. A task
declared with ``track=False`` has no row: its messages go the way that Dramatiq sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from dramatiq import Consumer, Message
from dramatiq.common import q_name
from dramatiq.errors import QueueNotFound

from tom_nightshift.broker.carrier import ROW, Carrier, Quiet
from tom_nightshift.broker.frugal import FrugalConsumer, Seats
from tom_nightshift.broker.relay import Relay
from tom_nightshift.broker.rows import RowBroker
from tom_nightshift.ledger import options
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.doorman import Doorman
from tom_nightshift.ledger.reporter import Reporter

OF_A_DELIVERY = (ROW, "redis_message_id")
"""Options that belong to one doorbell, and not to the job."""


class Carried(RowBroker):
    """What is laid over one of Dramatiq's brokers; see ``carry``."""

    carrier: Carrier
    relay: Relay | None = None
    seats: Seats | None = None

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Write the job's row in the caller's transaction; a worker sends its doorbell.

        Raises:
            ArgumentsRefused: the arguments do not fit the task, cannot be stored, or are too large.
        """
        if self.is_untracked(message):
            sent: Message[Any] = super(RowBroker, self).enqueue(message, delay=delay)
            return sent
        return super().enqueue(_without(message, OF_A_DELIVERY), delay=delay)

    def enqueue_many(self, messages: Iterable[Message[Any]]) -> list[Message[Any]]:
        """As ``enqueue`` for each, all or none of those that have rows."""
        asked = list(messages)
        tracked = iter(super().enqueue_many([one for one in asked if not self.is_untracked(one)]))
        return [self.enqueue(one) if self.is_untracked(one) else next(tracked) for one in asked]

    def is_untracked(self, message: Any) -> bool:
        """Whether a message is of a task that has no rows."""
        return options.option(self, message.actor_name, "track", True) is False

    def publish(self, message: Message[Any]) -> None:
        """Send a doorbell. The hooks of ``enqueue`` were called when the job was asked for."""
        with self._quiet.on():
            super(RowBroker, self).enqueue(message)

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if not (signal == "enqueue" and self._quiet.is_on):
            super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if not (signal == "enqueue" and self._quiet.is_on):
            super().emit_after(signal, *args, **kwargs)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Dramatiq's consumer; it looks as often as a person who waits for a click needs, and fetches nothing
        ahead.

        Raises:
            QueueNotFound: no task was declared on this queue.
        """
        if q_name(queue_name) not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        assert self.relay is not None, "a worker boots before it consumes"
        assert self.seats is not None
        timeout = min(timeout, self.carrier.poll)
        found: Consumer = super(RowBroker, self).consume(queue_name, prefetch, timeout)
        if queue_name != q_name(queue_name):  # of delayed messages of tasks without rows: they are kept
            return found
        self.relay.serve(queue_name)
        return FrugalConsumer(found, self.seats, self.carrier, timeout)

    def flush(self, queue_name: str) -> None:
        """Drop the jobs of a queue that wait, and their doorbells."""
        super().flush(queue_name)
        super(RowBroker, self).flush(queue_name)

    def boot(self, threads: int, queues: Collection[str]) -> None:
        """Become the broker of a worker process that has so many threads and listens to these queues."""
        self.carrier.begin()
        self.relay = Relay(self.carrier)
        self.seats = Seats(lambda: self.dispatcher.wants if self.dispatcher is not None else 0)
        super().boot(threads, queues)
        self.relay.start()

    def shut_down(self) -> None:
        """Write what is left to write, and end the threads of ``boot``."""
        if self.relay is not None:
            self.relay.stop()
        super().shut_down()

    def make_dispatcher(self, threads: int, queues: list[str], reporter: Reporter) -> Dispatcher:
        """It claims what doorbells name."""
        assert self.relay is not None
        return Doorman(threads, queues, self.known_tasks, reporter, self.relay)

    @property
    def _quiet(self) -> Quiet:
        return _quiet


_quiet = Quiet()


def carry(broker: Any, carrier: type[Carrier], runs_here: Callable[[], bool]) -> Carried:
    """From now on Nightshift's jobs go by this broker of Dramatiq's. Its class is one that comes before its
    own; nothing of Dramatiq's is changed.
    """
    own = type(broker)
    broker.__class__ = type(f"Carried{own.__name__}", (Carried, own), {})
    broker.carrier, broker.runs_here = carrier(broker), runs_here
    carried: Carried = broker
    return carried


def _without(message: Message[Any], names: Iterable[str]) -> Message[Any]:
    clean: Message[Any] = message.copy()
    for name in names:
        clean.options.pop(name, None)
    return clean
