"""Jobs that run where they were asked for: eager mode, and ``testing.drain()``.

Dramatiq's own code processes the message, in the calling thread and on its connection, so every middleware
sees what it sees in a worker. The task runs in a savepoint: what a failed one wrote is gone, and its row says
why.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections import deque
from collections.abc import Iterable, Sequence
from queue import PriorityQueue
from typing import Any

from django.db import DatabaseError, connections, transaction
from dramatiq import Message
from dramatiq.middleware import Middleware
from dramatiq.worker import ConsumerThread, WorkerThread

from tom_nightshift.broker.consumer import OutcomeConsumer
from tom_nightshift.ledger import capture, folders, following, moves, outcomes
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.claimed import attempt_from_row
from tom_nightshift.ledger.hooks import JobMessage
from tom_nightshift.ledger.outcomes import Outcome
from tom_nightshift.ledger.rescue import IN_THE_REQUEST
from tom_nightshift.ledger.session import callers_transaction, jobs_alias
from tom_nightshift.states import FINAL, State

MOST_ATTEMPTS = 100
"""A job that asks for more attempts than this in one call is left waiting."""


def run_here(broker: Any, job_ids: Iterable[int]) -> int:
    """Run jobs now, each until it is final, and what follows them; delays are not waited for. The number of
    attempts made.
    """
    attempts, ready = 0, deque(job_ids)
    with capture.listening():
        while ready:
            made, followed = _run_until_final(broker, ready.popleft())
            attempts += made
            ready.extend(followed)
    return attempts


def drain(broker: Any) -> int:
    """Run everything that waits, and what that asks for, until nothing does. The number of attempts made."""
    attempts, done = 0, set[int]()
    while job_ids := [job_id for job_id in _waiting_jobs() if job_id not in done]:
        attempts += run_here(broker, job_ids)
        done.update(job_ids)
    return attempts


def _run_until_final(broker: Any, job_id: int) -> tuple[int, list[int]]:
    """The number of attempts made, and the jobs that follow."""
    followed: list[int] = []
    for number in range(MOST_ATTEMPTS):
        with callers_transaction() as sql:
            row = moves.claim_one(sql, IN_THE_REQUEST, job_id)
        if row is None:
            return number, followed
        ended = _run(broker, *attempt_from_row(row))
        assert ended.outcome is not None
        followed += ended.followed
        if ended.outcome.state != State.WAITING or ended.outcome.reason == "parked":
            return number + 1, followed
    return MOST_ATTEMPTS, followed


def _run(broker: Any, attempt: Attempt, encoded: bytes) -> _InlineConsumer:
    attempt.inline = True
    consumer = _InlineConsumer(broker)
    message = consumer.read(attempt, encoded)
    if message is not None:
        inline = InlineMessage(message._message, attempt)
        try:
            # What is set for the task, its message and its attempt, is set for nothing that comes after it:
            # Dramatiq leaves the message of one that was skipped.
            contextvars.copy_context().run(_process, broker, consumer, inline)
        finally:
            inline.savepoint.close()
    return consumer


def _process(broker: Any, consumer: _InlineConsumer, message: Any) -> None:
    """Have Dramatiq's worker code process one message in this thread; neither thread is started."""
    work: PriorityQueue[Any] = PriorityQueue()
    queue_name = message.queue_name
    door = ConsumerThread(broker=broker, queue_name=queue_name, prefetch=1, work_queue=work, worker_timeout=1)
    door.consumer = consumer
    door.handle_message(message)
    if not work.empty():
        work.get()
        WorkerThread(
            broker=broker, consumers={queue_name: door}, work_queue=work, worker_timeout=1
        ).process_message(message)


class _InlineConsumer(OutcomeConsumer):
    """Writes the outcome at once, on the caller's connection."""

    outcome: Outcome | None = None
    followed: Sequence[int] = ()

    def ack(self, message: Any) -> None:
        if message.broken is None:
            super().ack(message)
        else:
            message.attempt.exception, message.attempt.put_back = message.broken, None
            super().nack(message)

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.close_reports()
        self.outcome = outcome
        with callers_transaction() as sql:
            if outcomes.write(sql, attempt, outcome):
                self.followed = following.write(sql, [(attempt, outcome)])
        if outcome.state in FINAL:
            folders.remove_folder(attempt)


class InlineMessage(JobMessage):
    """A message that is processed where it was sent."""

    def __init__(self, message: Message[Any], attempt: Attempt) -> None:
        super().__init__(message, attempt)
        self.savepoint = contextlib.ExitStack()
        self.in_savepoint = False
        self.broken: DatabaseError | None = None
        """Why the savepoint could not be kept: the task passed over an error of the database."""


class InlineSavepoint(Middleware):
    """Innermost: opens a savepoint before such a task and ends it after, by how the task ended."""

    def before_process_message(self, broker: Any, message: Any) -> None:
        if isinstance(message, InlineMessage):
            message.savepoint.enter_context(transaction.atomic(using=jobs_alias()))
            message.in_savepoint = True

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        if isinstance(message, InlineMessage):
            message.broken = _spoilt() if exception is None else None
            if exception is not None or message.broken is not None:
                transaction.set_rollback(True, using=jobs_alias())
            message.savepoint.close()

    def after_skip_message(self, broker: Any, message: Any) -> None:
        """A task that is put back keeps what it wrote, as in a worker; or another middleware skipped it."""
        if isinstance(message, InlineMessage) and message.in_savepoint:
            self.after_process_message(broker, message)


def _spoilt() -> DatabaseError | None:
    """Why what the task wrote cannot be kept: it passed over an error of the database.

    A commit would roll it back, on PostgreSQL without a word.
    """
    try:
        with connections[jobs_alias()].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return error
    return None


def _waiting_jobs() -> list[int]:
    with callers_transaction() as sql:
        rows = sql.rows(
            "SELECT id FROM tom_nightshift_job WHERE state = 'waiting' "
            "AND hold IN ('', 'until', 'limit', 'rate') ORDER BY priority, ord, id"
        )
    return [job_id for (job_id,) in rows]
