"""What can be measured: Nightshift on a database, and each rival in ``benchmarks/rivals``."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.figures import Values
from benchmarks.stage import PATIENCE, Running, Stage

LOOK_AGAIN = 0.1
WARMING = range(1_000_000, 1_000_060)
"""The numbers of the jobs that warm the workers."""


class WrongStates(Exception):
    """The jobs of a run are not in the states in which they should be: it gives no figure."""


class Contender(ABC):
    """A queue with its workers. A subclass is all that a rival needs.

    Parameters:
        stage: where its processes run.
    """

    name: str
    """As in the table: ``Dramatiq + Redis``."""

    sender: str
    """A module with ``prepare()``, which runs in the process of a sender and answers the function that sends
    one number to the no-op task.
    """

    ready: str
    """What each worker process says once it is ready for jobs."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @abstractmethod
    def fresh(self) -> None:
        """Begin with an empty queue."""

    @abstractmethod
    def command(self, processes: int, threads: int) -> list[str]:
        """What starts so many workers, as words behind ``python``."""

    @abstractmethod
    def server(self) -> list[int]:
        """The processes of the servers that it needs."""

    @abstractmethod
    def waiting(self) -> int:
        """How many jobs wait, each as it should."""

    @abstractmethod
    def open_jobs(self) -> int:
        """How many jobs are not yet recorded as done."""

    @abstractmethod
    def wrong(self, numbers: Collection[int]) -> str:
        """A sentence if any of these jobs is not in the state in which it should be; else empty."""

    @abstractmethod
    def described(self) -> str:
        """What was measured, with its version."""

    def statements(self) -> Values:
        """How many statements one sent job costs, by the name of a measure; nothing where there are none."""
        return {}

    @abstractmethod
    def statements_so_far(self) -> int:
        """A counter of what workers have said to the server since some moment before they started."""

    def send(self, how: str, **values: Any) -> Any:
        """Send jobs from a process of its own, by a function of ``benchmarks.sending``."""
        return self.stage.call("benchmarks.sending", how, sender=self.sender, **values)

    def check(self, numbers: Collection[int]) -> None:
        """Look at every job.

        Raises:
            WrongStates: one did not run once, or its state is not right.
        """
        wrong = self.stage.record.wrong(numbers) or self.wrong(numbers)
        if wrong:
            raise WrongStates(f"{self.name}: {wrong}")

    def settle(self) -> None:
        """Wait until everything that there is to write about the jobs is written.

        Raises:
            WrongStates: it was not, for long.
        """
        deadline = time.monotonic() + PATIENCE
        while left := self.open_jobs():
            if time.monotonic() > deadline:
                raise WrongStates(f"{self.name}: {left} jobs are still open after {PATIENCE:.0f} s")
            time.sleep(LOOK_AGAIN)

    @contextmanager
    def working(self, processes: int, threads: int, *words: str) -> Iterator[Running]:
        """So many workers, once they are ready."""
        with self.stage.running(*self.command(processes, threads), *words) as workers:
            workers.says(self.ready, processes)
            yield workers

    @contextmanager
    def warm(self, processes: int, threads: int, *words: str) -> Iterator[Running]:
        """Workers whose threads have all worked (on the jobs ``WARMING``), and that have nothing to do."""
        self.fresh()
        self.stage.record.clear()
        with self.working(processes, threads, *words) as workers:
            self.send("burst", first=WARMING.start, count=len(WARMING))
            self.stage.record.wait(len(WARMING))
            self.settle()
            yield workers
