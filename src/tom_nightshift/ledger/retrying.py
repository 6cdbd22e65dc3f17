"""How long a job that failed waits before it is tried again.

Whether it is tried again decides Dramatiq's Retries (``max_attempts``, ``throws``, ``retry_when``).

| what was raised                                | the wait                                               |
|------------------------------------------------|--------------------------------------------------------|
| Dramatiq's ``Retry(delay=…)``                  | as it says                                             |
| anything, by a task with a number as `backoff` | that, doubled each time, with jitter (Dramatiq's rule) |
| anything, by a task with a function            | what the function returns                              |
| an error that carries a Retry-After            | at least that long                                     |
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from dramatiq import Actor
from dramatiq.errors import Retry

from tom_nightshift import events
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.speaking import running_job

LONGEST = 7 * 86_400.0
"""Most seconds that a job waits for its next attempt, whatever a server asks for (Dramatiq's own limit)."""

MOST_CAUSES = 10


def seconds_to_wait(attempt: Attempt, actor: Actor[Any, Any] | None, asked: float) -> float:
    """Seconds until an attempt that failed is made again.

    Parameters:
        actor: its task, where this process knows it.
        asked: seconds by Dramatiq's own rule.
    """
    error = attempt.message._exception if attempt.message is not None else None
    if error is None or (isinstance(error, Retry) and error.delay is not None):
        return asked
    backoff = actor.options.get("backoff") if actor is not None else None
    wait = asked if backoff is None else _by_function(attempt, backoff, error, asked)
    return min(max(wait, _retry_after(error)), LONGEST)


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, what caused that, and so on."""
    one: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if one is None:
            return
        yield one
        one = one.__cause__


def _by_function(attempt: Attempt, backoff: Any, error: BaseException, asked: float) -> float:
    """A function that fails must not cost the job its retry."""
    try:
        seconds = float(backoff(error, running_job(attempt)))
        if not 0 <= seconds < math.inf:
            raise ValueError(f"it returned {seconds!r}: it is to return seconds")
    except Exception as fault:  # noqa: BLE001 - whatever a task's own function raises
        events.backoff_failed(attempt.task, fault)
        return asked
    return seconds


def _retry_after(error: BaseException) -> float:
    """Seconds that an error, or one that caused it, asks to wait; 0 where none does."""
    return max((_asked_by(one) for one in with_causes(error)), default=0.0)


def _asked_by(error: BaseException) -> float:
    return max(_seconds_asked(way, error) for way in (_by_attribute, _by_response, _by_header))


def _seconds_asked(way: Callable[[Any], Any], error: BaseException) -> float:
    with contextlib.suppress(Exception):  # attributes of other people's errors may be, and do, anything
        return _seconds(way(error))
    return 0.0


def _by_attribute(error: Any) -> Any:
    return error.retry_after


def _by_response(error: Any) -> Any:
    """As requests and httpx have it."""
    return error.response.headers["Retry-After"]


def _by_header(error: Any) -> Any:
    """As urllib has it."""
    return error.headers["Retry-After"]


def _seconds(value: Any) -> float:
    """Of a number, or of a date as HTTP writes it."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    return seconds if 0 < seconds < math.inf else 0.0
