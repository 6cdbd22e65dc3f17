"""Looking at jobs, and real Dramatiq workers inside the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq

from tests.support.waiting import wait_until
from tom_nightshift.broker.rows import RowBroker
from tom_nightshift.ledger import moves
from tom_nightshift.ledger.claimed import attempt_from_row
from tom_nightshift.ledger.session import OwnConnection, Sql
from tom_nightshift.models import Job

QUICK = {"worker_timeout": 15}
"""So that Dramatiq's threads see soon that they are to end."""


def actor(fn: Callable[..., Any], **options: Any) -> dramatiq.Actor[..., Any]:
    """Declare a function, perhaps a lambda, as a task that may be sent anything."""
    declared: dramatiq.Actor[..., Any] = dramatiq.actor(**options)(fn)
    return declared


def raising(error: BaseException) -> Callable[[], None]:
    """A task that raises this."""

    def task() -> None:
        raise error

    return task


def in_hand(worker: dramatiq.Worker) -> dict[Any, Any]:
    """The attempts that the worker's dispatcher holds."""
    broker = worker.broker
    assert isinstance(broker, RowBroker)
    assert broker.dispatcher is not None
    return broker.dispatcher.in_hand


def message_to(task: str, queue: str = "default", **values: Any) -> dramatiq.Message[Any]:
    """A message to a task of this name, whether or not anybody knows it."""
    return dramatiq.Message(queue, task, **{"args": (), "kwargs": {}, "options": {}, **values})


def job_of(message: Any) -> Job:
    """The row of a message, read now."""
    return Job.objects.get(message_id=message.message_id)


def ended(message: Any, *, at_most: float = 30.0) -> Job:
    """The row of a message, once it is final."""
    return wait_until(
        lambda: _if(job_of(message), lambda job: job.is_final), at_most=at_most, what=f"end of {message}"
    )


def reached(message: Any, **values: Any) -> Job:
    """The row of a message, once it has these values."""
    return wait_until(
        lambda: _if(job_of(message), lambda job: all(getattr(job, k) == v for k, v in values.items())),
        what=str(values),
    )


def log_of(job: Job) -> list[str]:
    """The lines of a job's log, in order."""
    return "".join(piece.text for piece in job.logs.all()).splitlines()


@contextmanager
def running(broker: RowBroker, threads: int = 2, **options: Any) -> Iterator[dramatiq.Worker]:
    """A real Dramatiq worker in this process."""
    worker = dramatiq.Worker(broker, worker_threads=threads, **(QUICK | options))
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=5_000)


@contextmanager
def own_sql() -> Iterator[Sql]:
    """A transaction on a connection of our own, committed at the end."""
    connection = OwnConnection()
    try:
        with connection.transaction() as sql:
            yield sql
    finally:
        connection.close()


def claimed(
    sql: Sql, worker: str = "host:1:a", queues: tuple[str, ...] = ("default",), limit: int = 1
) -> list[Any]:
    """Claim jobs as a worker of this name; the attempts."""
    return [attempt_from_row(row)[0] for row in moves.claim(sql, worker, queues, limit)]


def _if(job: Job, condition: Callable[[Job], bool]) -> Job | None:
    return job if condition(job) else None
