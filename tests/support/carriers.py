"""A carrier that keeps its messages in this process, and may be away, or forget."""

from __future__ import annotations

import threading
from typing import Any

from dramatiq.brokers.stub import StubBroker

from tom_nightshift import stack
from tom_nightshift.broker import carriers
from tom_nightshift.broker.carried import Carried, carry
from tom_nightshift.broker.carrier import Carrier


class InMemory(Carrier):
    """Over Dramatiq's broker for tests."""

    name = "Memory"
    poll = 20

    def __init__(self, broker: Any) -> None:
        super().__init__(broker)
        self.now = "one"
        self.is_away = threading.Event()
        self.is_full = threading.Event()
        """It answers, and takes nothing."""

        self.sent: list[int] = []
        """The jobs whose doorbells were sent."""

    def begin(self) -> None:
        self.sent.clear()

    def send(self, job_id: int, message_id: str, queue: str, task: str) -> None:
        self._ask()
        with self._answering():
            if self.is_full.is_set():
                raise OSError("no room")
        super().send(job_id, message_id, queue, task)
        self.sent.append(job_id)

    def epoch(self) -> str:
        self._ask()
        return self.now

    def is_empty(self, queue: str) -> bool:
        self._ask()
        return bool(self.broker.queues[queue].empty())

    def allow_one(self, consumer: Any) -> None:
        """It gives them one by one."""

    def give_back(self, consumer: Any, message: Any) -> None:
        consumer.queue.put(message.encode())
        consumer.queue.task_done()

    def forget_everything(self) -> None:
        """Throw away all that it holds."""
        for waiting in self.broker.queues.values():
            while not waiting.empty():
                waiting.get()
                waiting.task_done()

    def _ask(self) -> None:
        with self._answering():
            if self.is_away.is_set():
                raise ConnectionError("nobody there")


def in_memory() -> Carried:
    """A broker that it carries for, with the whole stack under it."""
    carried = carry(StubBroker(middleware=[]), InMemory, lambda: False)
    for one in carriers.around(stack.middleware()):
        carried.add_middleware(one)
    return carried
