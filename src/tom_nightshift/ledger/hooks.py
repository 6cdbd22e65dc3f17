"""Dramatiq's hooks around a message: they make the thread's attempt current, and note how the task ended.

Listed first among a broker's middleware. Dramatiq calls the hooks that come after a task in reverse order, so
Retries has decided by then.
"""

from __future__ import annotations

import threading
import time
import traceback
from typing import Any

from dramatiq import Actor, Broker, Message, MessageProxy
from dramatiq.middleware import Middleware

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.exceptions import StopRequested, TaskError
from tom_nightshift.ledger import capture, secrets
from tom_nightshift.ledger.arguments import arguments_by_name
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.guard import guarded
from tom_nightshift.ledger.options import ACCEPTED, terms_of


class JobMessage(MessageProxy):
    """A message of Dramatiq's with the attempt that it belongs to."""

    def __init__(self, message: Message[Any], attempt: Attempt) -> None:
        super().__init__(message)
        # All that reads a message reads these; asked through the proxy each costs several times as much.
        self.queue_name, self.actor_name = message.queue_name, message.actor_name
        self.args, self.kwargs, self.options = message.args, message.kwargs, message.options
        self.message_id, self.message_timestamp = message.message_id, message.message_timestamp
        self.attempt = attempt
        attempt.message_id = message.message_id
        attempt.message = self


class JobHooks(Middleware):
    """Notes of each attempt what its outcome is decided by."""

    actor_options = set(ACCEPTED)  # noqa: RUF012 - Dramatiq asks for a plain set

    def after_declare_actor(self, broker: Broker, actor: Actor[Any, Any]) -> None:
        actor.fn = guarded(actor.fn)

    def before_process_message(self, broker: Broker, message: Any) -> None:
        attempt: Attempt | None = getattr(message, "attempt", None)
        if attempt is None:  # of a task that has no rows
            return
        attempt.thread = threading.current_thread()
        attempt.begun = time.monotonic()
        current.set(attempt)
        attempt.terms = terms_of(broker, message, get_settings().timeout)
        attempt.keep_secret(secrets.of_arguments(arguments_by_name(broker, message)))
        events.job_started(attempt.job_id, attempt.task, attempt.number)

    def after_process_message(
        self, broker: Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        attempt: Attempt | None = getattr(message, "attempt", None)
        if attempt is None:
            return
        attempt.value, attempt.exception = result, exception
        _leave(attempt)
        if exception is not None:
            attempt.traceback = attempt.secrets.mask(attempt.traceback or traceback_of(exception))

    def after_skip_message(self, broker: Broker, message: Any) -> None:
        attempt: Attempt | None = getattr(message, "attempt", None)
        if attempt is not None:
            attempt.skipped = attempt.put_back is None
            _leave(attempt)


def _leave(attempt: Attempt) -> None:
    attempt.over = True
    attempt.frame.leave()
    attempt.log.end_line(capture.clock())
    current.set(None)


def traceback_of(error: BaseException) -> str:
    """The traceback of an error, for staff; a sentence meant for astronomers needs none."""
    if isinstance(error, TaskError | StopRequested) and error.__cause__ is None:
        return ""
    return "".join(traceback.format_exception(error, limit=-30))
