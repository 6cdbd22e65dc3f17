"""What all our brokers have in common: a job is a row, written in the caller's own transaction.

How the news of it gets to a worker is what they differ in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from typing import Any

from dramatiq import Actor, Broker, Message, Middleware, Worker
from dramatiq.common import current_millis
from dramatiq.errors import ActorNotFound, QueueJoinTimeout
from dramatiq.middleware import MiddlewareError, Retries

from tom_nightshift import events
from tom_nightshift.broker.inline import run_here
from tom_nightshift.broker.signals import Listeners
from tom_nightshift.ledger import enqueue, eventloop, following, options, pruning
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.reporter import Reporter
from tom_nightshift.ledger.session import callers_transaction

LOOK_AGAIN = 0.02
"""Seconds between looks while ``join`` waits."""


class RowBroker(Broker):
    """A broker whose jobs are rows."""

    dispatcher: Dispatcher | None = None
    runs_here: Callable[[], bool] = staticmethod(lambda: False)
    """Says at each enqueue whether the job is to run at once where it was asked for."""

    @property
    def has_retries(self) -> bool:
        """Whether Dramatiq's Retries is among the middleware."""
        return any(isinstance(middleware, Retries) for middleware in self.middleware)

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call a hook of all middleware that have it. What one raises is logged, but for a
        ``MiddlewareError``; that one, too, where it would keep an outcome from its row.
        """
        for middleware in self._listeners.that_hear(f"before_{signal}", self.middleware):
            try:
                getattr(middleware, f"before_{signal}")(self, *args, **kwargs)
            except Exception as error:
                if isinstance(error, MiddlewareError) and signal not in ("ack", "nack"):
                    raise
                events.hook_failed(f"before_{signal}", middleware, error)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call a hook of all middleware that have it, innermost first. What one raises is logged."""
        for middleware in reversed(self._listeners.that_hear(f"after_{signal}", self.middleware)):
            try:
                getattr(middleware, f"after_{signal}")(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - a middleware may raise anything
                events.hook_failed(f"after_{signal}", middleware, error)

    @cached_property
    def _listeners(self) -> Listeners:
        return Listeners()

    def declare_actor(self, actor: Actor[Any, Any]) -> None:
        """Declare a task.

        Raises:
            OptionRefused: an option's value cannot be used.
        """
        options.settle(actor)
        super().declare_actor(actor)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Write the job's row in the caller's transaction.

        Parameters:
            delay: milliseconds until the job may begin.

        Raises:
            ArgumentsRefused: the arguments do not fit the task, cannot be stored, or are too large.
        """
        return eventloop.outside_loop(lambda: self._enqueue(message.copy(), delay))

    def enqueue_many(self, messages: Iterable[Message[Any]]) -> list[Message[Any]]:
        """Write the rows of many jobs in the caller's transaction, all or none; as ``enqueue`` for each.

        Raises:
            ArgumentsRefused: the arguments of one do not fit its task, cannot be stored, or are too large.
        """
        asked = []
        for message in [message.copy() for message in messages]:
            delay = _until(message.options.pop("eta", None), None)
            self.emit_before("enqueue", message, delay)
            asked.append((message, self._actor(message.actor_name), _seconds(delay)))
        job_ids, written = enqueue.write_rows(asked)
        if self.runs_here():
            run_here(self, job_ids)
        for message, (_, _, seconds) in zip(written, asked, strict=True):
            self.emit_after("enqueue", message, None if seconds is None else int(seconds * 1000))
        return written

    def flush(self, queue_name: str) -> None:
        """Drop the jobs of a queue that wait."""
        with callers_transaction() as sql:
            rows = sql.rows(
                "SELECT id FROM tom_nightshift_job WHERE state = 'waiting' AND queue = %s", [queue_name]
            )
            pruning.remove(sql, [job_id for (job_id,) in rows])

    def flush_all(self) -> None:
        """Drop all jobs that wait."""
        for queue_name in self.queues:
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until every job of a queue is final (for tests).

        Raises:
            QueueJoinTimeout: some were not, after ``timeout`` milliseconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while self._open_jobs(queue_name):
            if deadline is not None and time.monotonic() > deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(LOOK_AGAIN)

    def known_tasks(self) -> list[str]:
        """The names of the tasks that this process can run."""
        return sorted(self.actors)

    def boot(self, threads: int, queues: Collection[str]) -> None:
        """Become the broker of a worker process that has so many threads and listens to these queues."""
        events.results_are_kept()
        reporter = Reporter()
        self.dispatcher = self.make_dispatcher(threads, sorted(queues), reporter)
        reporter.start()
        self.dispatcher.start()

    def make_dispatcher(self, threads: int, queues: list[str], reporter: Reporter) -> Dispatcher:
        """The thread by which this process gets its jobs."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """Write what is left to write, and end the threads of ``boot``."""
        if self.dispatcher is not None:
            self.dispatcher.stop()
            self.dispatcher.reporter.stop()

    def _enqueue(self, message: Message[Any], delay: int | None) -> Message[Any]:
        delay = _until(message.options.pop("eta", None), delay)
        self.emit_before("enqueue", message, delay)
        if enqueue.is_retry(message):
            enqueue.record_retry(message, self._actor(message.actor_name), (delay or 0) / 1000)
        elif following.comes_after_the_task():
            following.keep(message, self._actor(message.actor_name), _seconds(delay))
        else:
            message = self._write(message, delay)
        self.emit_after("enqueue", message, delay)
        return message

    def _write(self, message: Message[Any], delay: int | None) -> Message[Any]:
        job_id, written = enqueue.write_row(message, self._actor(message.actor_name), _seconds(delay))
        if self.runs_here():
            run_here(self, [job_id])
        return written

    def _actor(self, name: str) -> Actor[Any, Any] | None:
        try:
            return self.get_actor(name)
        except ActorNotFound:
            return None

    def _open_jobs(self, queue_name: str) -> bool:
        with callers_transaction() as sql:
            return bool(
                sql.rows(
                    "SELECT 1 FROM tom_nightshift_job "
                    "WHERE state IN ('waiting', 'running') AND queue = %s LIMIT 1",
                    [queue_name],
                )
            )


class WorkerBoot(Middleware):
    """Starts and ends the broker's own threads with Dramatiq's worker, whoever starts that."""

    def before_worker_boot(self, broker: Any, worker: Worker) -> None:
        broker.boot(worker.worker_threads, worker.consumer_whitelist or broker.queues)

    def before_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        broker.dispatcher.stop_claiming()

    def after_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        broker.shut_down()


def _until(eta: Any, delay: int | None) -> int | None:
    """The delay as asked for, else until the moment that the message names, in milliseconds."""
    return max(0, int(eta) - current_millis()) if delay is None and eta else delay


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
