"""Dramatiq's ``Broker`` over the rows of jobs.

Delayed jobs stay in the database until they are due, so there are no delay queues, and none of the consumer
threads that Dramatiq would start for them.
"""

from __future__ import annotations

from collections.abc import Callable

from dramatiq import Middleware
from dramatiq.errors import QueueNotFound

from tom_nightshift.broker.consumer import MailboxConsumer
from tom_nightshift.broker.inline import InlineSavepoint
from tom_nightshift.broker.rows import RowBroker, WorkerBoot
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.reporter import Reporter


class DatabaseBroker(RowBroker):
    """A broker whose queue is the table of jobs.

    Parameters:
        middleware: Dramatiq middleware, outermost first.
        runs_here: says at each enqueue whether the job is to run at once where it was asked for.
    """

    def __init__(
        self, middleware: list[Middleware] | None = None, *, runs_here: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(middleware=[WorkerBoot(), *(middleware or []), InlineSavepoint()])
        self.runs_here = runs_here

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue: a name in the rows, and a consumer in each worker."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> MailboxConsumer:
        """A consumer of a queue: a mailbox that the process's dispatcher fills.

        Raises:
            QueueNotFound: no task was declared on this queue.
        """
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        assert self.dispatcher is not None, "a worker boots before it consumes"
        return MailboxConsumer(self, self.dispatcher, queue_name, timeout)

    def make_dispatcher(self, threads: int, queues: list[str], reporter: Reporter) -> Dispatcher:
        """It claims what is ready, and fills the mailboxes."""
        return Dispatcher(threads, queues, self.known_tasks, reporter)
