"""Every error Nightshift raises on purpose.

::

    NightshiftError
    ├── SettingsRefused            a key of NIGHTSHIFT is unknown or has a value that cannot be used
    ├── OptionRefused              a task was declared with options that contradict one another
    ├── ArgumentsRefused           the arguments of a call do not fit the task, or cannot be stored
    ├── WaitRefused                waiting for a result that this very transaction keeps from coming
    ├── StopRequested              raised in a task by progress() and checkpoint(): somebody asked it to stop
    ├── ProcessDied                the process that ran one job alone has died
    ├── Unportable                 stands for an error that could not leave that process
    ├── Later                      raised by a task: not now, look again after a while
    └── TaskError                  raised by a task: a sentence for the astronomer
        └── Withdrawn              raised by a task: what the job was about has gone, so the job is stopped

The message of each says what was wrong, with the value, and what to do.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured


class NightshiftError(Exception):
    """Something Nightshift says on purpose."""


class SettingsRefused(NightshiftError, ImproperlyConfigured):
    """A key of ``NIGHTSHIFT`` is unknown or has a value that cannot be used."""


class OptionRefused(NightshiftError):
    """A task was declared with options that contradict one another."""


class ArgumentsRefused(NightshiftError):
    """The arguments of a call do not fit the task, or cannot be stored."""


class WaitRefused(NightshiftError):
    """``get_result(block=True)`` in a transaction that itself keeps the result from coming."""


class StopRequested(NightshiftError):
    """Raised inside a task by ``progress()`` and ``checkpoint()`` once somebody asked the job to stop."""


class ProcessDied(NightshiftError):
    """The process that ran a job, and nothing but that job, has died."""


class Unportable(NightshiftError):
    """Stands for an error whose class cannot be pickled, when it has to leave the process that ran a job
    alone.

    Parameters:
        kind: the name of its class.
        words: its message.
    """

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(kind, words)
        self.kind, self.words = kind, words

    def __str__(self) -> str:
        return self.words


class Later(NightshiftError):
    """Raised by a task that has to wait for something: its job goes back and begins again after a while.

    It holds no thread meanwhile, it does not count as a failure, and steps that are done stay done::

        raise Later(600, "waiting for ATLAS")
        raise Later(until=sunset, words="waiting for the night")

    Parameters:
        seconds: how long to wait.
        words: what it waits for, as its page shows it.
        until: when to look again, instead of ``seconds``; with a time zone.

    Raises:
        ValueError: it does not say when.
    """

    def __init__(
        self, seconds: float | None = None, words: str = "", *, until: datetime | None = None
    ) -> None:
        super().__init__(words)
        if (seconds is None) == (until is None):
            raise ValueError("Later takes either seconds or until=…: when is the job to be looked at again?")
        if until is not None and until.utcoffset() is None:
            raise ValueError(f"Later(until={until!r}): give it a time zone, as timezone.now() has.")
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ValueError(f"Later({seconds!r}): it takes seconds, not below zero.")
        self.seconds = seconds
        self.until = until

    def __reduce__(self) -> tuple[Any, ...]:
        """It may have to leave the process that runs a job alone."""
        return partial(type(self), self.seconds, str(self), until=self.until), ()


class TaskError(NightshiftError):
    """Raised by a task to fail with a sentence that an astronomer understands.

    The sentence is shown on the job's page as it is, without a traceback.
    """


class Withdrawn(TaskError):
    """Raised by a task when what the job was about has gone: it ends as *stopped*, with this sentence."""
