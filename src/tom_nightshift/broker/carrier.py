"""What Nightshift asks of a carrier, such as Redis: to take doorbells to the workers, by Dramatiq's own."""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

ROW = "nightshift_job"
"""The option of a message that names the row of its job."""


class Away(Exception):
    """The carrier does not answer, or refuses. ``str()`` is what it said."""


class Carrier(abc.ABC):
    """One of Dramatiq's brokers as a carrier of doorbells.

    Parameters:
        broker: the one whose ``publish`` it calls.
    """

    name = ""
    """For people."""

    poll = 1000
    """Most milliseconds that a consumer rests between looks for a message."""

    errors: tuple[type[BaseException], ...] = (BrokerConnectionError, OSError)
    """What its client raises when it does not answer."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    @abc.abstractmethod
    def begin(self) -> None:
        """A worker process begins; it may have been forked from one that has a connection."""

    def send(self, job_id: int, message_id: str, queue: str, task: str) -> None:
        """Send the doorbell of a job. It has no arguments in it: the row has them.

        Raises:
            Away: it could not be sent.
        """
        message: Message[Any] = Message(
            queue_name=queue,
            actor_name=task,
            args=(),
            kwargs={},
            options={ROW: job_id},
            message_id=message_id,
        )
        with self._answering():
            self.broker.publish(message)

    @abc.abstractmethod
    def epoch(self) -> str:
        """What names the time since it last forgot everything.

        Raises:
            Away: it does not answer.
        """

    @abc.abstractmethod
    def is_empty(self, queue: str) -> bool:
        """Whether it has nothing left for this queue, under way or not.

        Raises:
            Away: it does not answer.
        """

    @abc.abstractmethod
    def allow_one(self, consumer: Any) -> None:
        """Let a consumer of Dramatiq's fetch one message more, and not more than that."""

    @abc.abstractmethod
    def give_back(self, consumer: Any, message: Any) -> None:
        """Others are to have a message that a consumer has fetched."""

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            raise Away(str(error)) from error


class Quiet(threading.local):
    """Whether this thread publishes: the hooks of ``enqueue`` were called when the job was asked for."""

    is_on = False

    @contextmanager
    def on(self) -> Iterator[None]:
        """In the block it does."""
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False
