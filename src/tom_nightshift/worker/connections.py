"""A task's database connections: opened when it asks, fit for use when it begins, in order when it ends."""

from __future__ import annotations

from typing import Any

from django.db import connections
from dramatiq import Broker
from dramatiq.middleware import Middleware

from tom_nightshift import events
from tom_nightshift.broker.inline import InlineMessage

OPEN = (1, 2, 3)
"""libpq's words for a transaction that is active, open, or broken: ``PGTransactionStatusType``."""


class TaskConnections(Middleware):
    """Rolls back what a task left open, and closes connections that are unusable or too old.

    A task that never asks for the database opens none.
    """

    def before_process_message(self, broker: Broker, message: Any) -> None:
        if not isinstance(message, InlineMessage):
            for connection in connections.all(initialized_only=True):
                connection.close_if_unusable_or_obsolete()

    def after_process_message(
        self, broker: Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        if isinstance(message, InlineMessage):
            return
        attempt = getattr(message, "attempt", None)  # none of a task that has no rows
        disorder = attempt is not None and attempt.frame.interrupted
        for connection in connections.all(initialized_only=True):
            if disorder:
                _throw_away(connection)
            elif connection.connection is not None and _in_transaction(connection):
                events.transaction_left_open(message.actor_name)
                _throw_away(connection)
            else:
                connection.queries_log.clear()  # as Django does when a request begins
                connection.close_if_unusable_or_obsolete()

    def before_worker_thread_shutdown(self, broker: Broker, thread: Any) -> None:
        connections.close_all()

    def after_skip_message(self, broker: Broker, message: Any) -> None:
        self.after_process_message(broker, message)


def _throw_away(connection: Any) -> None:
    """Django's wrapper goes too: closed inside ``atomic()``, it would wait for that block's end for ever."""
    connection.close()
    del connections[connection.alias]


def _in_transaction(connection: Any) -> bool:
    if connection.in_atomic_block or not connection.autocommit:
        return True
    driver = connection.connection
    if connection.vendor == "postgresql":
        return driver.info.transaction_status in OPEN
    return bool(getattr(driver, "in_transaction", False))
