"""What travels between a worker and the process that runs one of its jobs alone.

There: what is to be run, and words to a task that is to end. Back: what the task says, and how it ended.
"""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from dramatiq.middleware import CurrentMessage

from tom_nightshift import events
from tom_nightshift.exceptions import Unportable
from tom_nightshift.ledger import storable
from tom_nightshift.ledger.attempt import Attempt, Reports
from tom_nightshift.ledger.logbuffer import LogBuffer
from tom_nightshift.ledger.options import Terms
from tom_nightshift.ledger.retrying import with_causes
from tom_nightshift.ledger.secrets import Secrets

ASK = "stop"
"""To a task: its job is to stop. Instead of this word, a class of interrupt is to be raised in it."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is to be run."""

    job_id: int
    number: int
    task: str
    queue: str
    title: str
    message_id: str
    owner_id: int | None
    root: int | None
    failures: int
    losses: int
    terms: Terms
    saved: dict[str, Any]
    stages: list[dict[str, Any]]
    message: bytes
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    secrets: Secrets

    @classmethod
    def of(cls, attempt: Attempt, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Assignment:
        """An attempt as it can travel."""
        message = CurrentMessage.get_current_message()
        return cls(
            attempt.job_id, attempt.number, attempt.task, attempt.queue, attempt.title, attempt.message_id,
            attempt.owner_id, attempt.root, attempt.failures, attempt.losses, attempt.terms,
            attempt.reports.saved, attempt.reports.stages, message.encode() if message else b"",
            args, dict(kwargs), attempt.secrets,
        )  # fmt: skip

    def attempt(self) -> Attempt:
        """The attempt, in the process that runs it."""
        made = Attempt(
            self.job_id, self.number, self.task, self.queue, title=self.title, message_id=self.message_id,
            owner_id=self.owner_id, root=self.root, failures=self.failures, losses=self.losses,
            terms=self.terms, log=Outgoing(), reports=Reports(saved=self.saved, stages=self.stages),
        )  # fmt: skip
        made.keep_secret(self.secrets)
        made.begun, made.thread = time.monotonic(), threading.current_thread()
        return made


class Outgoing(LogBuffer):
    """Log lines on their way to the worker, which keeps them in bounds."""

    MOST = 10_000
    """Lines that wait at most; of more, the oldest go."""

    def __init__(self) -> None:
        super().__init__(0)
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            del self._lines[: -self.MOST]

    def lines(self) -> list[str]:
        """What has not been sent yet."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines


@dataclass(frozen=True, slots=True)
class Said:
    """What a task has said since it was last asked."""

    lines: list[str]
    reports: Reports | None
    warnings: list[str]
    made: list[dict[str, Any]]

    @classmethod
    def of(cls, attempt: Attempt) -> Said:
        """Take it from the attempt."""
        assert isinstance(attempt.log, Outgoing)
        with attempt.lock:
            changed, attempt.reports.changed = attempt.reports.changed, False
            reports = _snapshot(attempt.reports) if changed else None
        return cls(attempt.log.lines(), reports, list(attempt.warnings), list(attempt.made))

    def pass_on(self, attempt: Attempt) -> None:
        """Say it for the attempt that waits in the worker."""
        for line in self.lines:
            attempt.log.add(line)
        attempt.warnings[:], attempt.made[:] = self.warnings, self.made
        if self.reports is not None:
            with attempt.lock:
                mine, theirs = attempt.reports, self.reports
                mine.done, mine.total, mine.note = theirs.done, theirs.total, theirs.note
                mine.stages, mine.saved, mine.changed = theirs.stages, theirs.saved, True


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended, with the last that it said."""

    said: Said
    returned: Any = None
    raised: BaseException | None = None
    causes: tuple[BaseException, ...] = ()
    """What caused what was raised, what caused that, and so on: no error keeps it when it is pickled."""

    traceback: str = field(default="", repr=False)

    @classmethod
    def by(cls, error: BaseException, said: Said, traceback: str) -> Ended:
        """It raised this."""
        raised, *causes = with_causes(error)
        return cls(said, raised=raised, causes=tuple(causes), traceback=traceback)

    def pass_on(self, attempt: Attempt) -> None:
        """Say the rest for the attempt that waits in the worker."""
        self.said.pass_on(attempt)
        attempt.traceback = self.traceback

    def value(self) -> Any:
        """What it returned.

        Raises:
            BaseException: what it raised.
        """
        if self.raised is None:
            return self.returned
        for effect, cause in pairwise((self.raised, *self.causes)):
            effect.__cause__ = cause
        raise self.raised


def _snapshot(reports: Reports) -> Reports:
    """A copy that the task does not change while it is on its way."""
    return replace(
        reports,
        stages=[dict(stage) for stage in list(reports.stages)],
        saved={key: copy.copy(value) for key, value in list(reports.saved.items())},
    )


def packed(ended: Ended) -> bytes:
    """As it can travel: an error whose class cannot goes by its name, a value that cannot stays behind."""
    problem = _problem_with(ended)
    return pickle.dumps(_portable(ended, problem) if problem else ended)


def _problem_with(travelling: Any) -> str:
    """Why it cannot travel; empty: it can."""
    try:
        pickle.loads(pickle.dumps(travelling))  # noqa: S301 - our own; some can be written and not read
    except Exception as problem:  # noqa: BLE001 - whatever an author's class does when it is pickled
        return events.first_line(problem)
    return ""


def _portable(ended: Ended, problem: str) -> Ended:
    if ended.raised is not None:
        raised, *causes = (
            Unportable(type(error).__name__, storable.text(error)) if _problem_with(error) else error
            for error in (ended.raised, *ended.causes)
        )
        return replace(ended, raised=raised, causes=tuple(causes))
    warning = f"the return value could not be kept: {problem}"
    return replace(ended, returned=None, said=replace(ended.said, warnings=[*ended.said.warnings, warning]))
