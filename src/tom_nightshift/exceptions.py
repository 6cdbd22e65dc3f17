"""Every error Nightshift raises on purpose.

::

    NightshiftError
    ├── SettingsRefused            a key of NIGHTSHIFT is unknown or has a value that cannot be used
    ├── OptionRefused              a task was declared with options that contradict one another
    ├── ArgumentsRefused           the arguments of a call do not fit the task, or cannot be stored
    ├── StopRequested              raised in a task by progress() and checkpoint(): somebody asked it to stop
    ├── ProcessDied                the process that ran one job alone has died
    ├── Unportable                 stands for an error that could not leave that process
    └── TaskError                  raised by a task: a sentence for the astronomer
        └── Withdrawn              raised by a task: what the job was about has gone, so the job is stopped

The message of each says what was wrong, with the value, and what to do.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


class NightshiftError(Exception):
    """Something Nightshift says on purpose."""


class SettingsRefused(NightshiftError, ImproperlyConfigured):
    """A key of ``NIGHTSHIFT`` is unknown or has a value that cannot be used."""


class OptionRefused(NightshiftError):
    """A task was declared with options that contradict one another."""


class ArgumentsRefused(NightshiftError):
    """The arguments of a call do not fit the task, or cannot be stored."""


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


class TaskError(NightshiftError):
    """Raised by a task to fail with a sentence that an astronomer understands.

    The sentence is shown on the job's page as it is, without a traceback.
    """


class Withdrawn(TaskError):
    """Raised by a task when what the job was about has gone: it ends as *stopped*, with this sentence."""
