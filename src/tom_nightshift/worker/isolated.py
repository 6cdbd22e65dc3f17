"""Runs an attempt in a process of its own: the side of that process, from its birth by fork to its end.

It is a copy of the supervisor, so everything is loaded, and it has no thread and no connection but those that it makes.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

import dramatiq
from django.db import connections
from dramatiq import Message, MessageProxy
from dramatiq.middleware import CurrentMessage, Interrupt

from tom_nightshift import events
from tom_nightshift.exceptions import Unportable
from tom_nightshift.ledger import capture, guard, storable
from tom_nightshift.ledger.attempt import Attempt, Reports, current
from tom_nightshift.ledger.hooks import traceback_of
from tom_nightshift.ledger.logbuffer import LogBuffer
from tom_nightshift.ledger.options import Terms

ASK = "stop"
INTERVAL = 0.5
"""Seconds between two reports."""

MEGABYTE = 1 << 20


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

    @classmethod
    def of(cls, attempt: Attempt, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Assignment:
        """An attempt as it can travel."""
        message = CurrentMessage.get_current_message()
        return cls(
            attempt.job_id, attempt.number, attempt.task, attempt.queue, attempt.title, attempt.message_id,
            attempt.owner_id, attempt.root, attempt.failures, attempt.losses, attempt.terms,
            attempt.reports.saved, attempt.reports.stages, message.encode() if message else b"", args, dict(kwargs),
        )  # fmt: skip

    def attempt(self) -> Attempt:
        """The attempt, in the process that runs it."""
        made = Attempt(
            self.job_id, self.number, self.task, self.queue, title=self.title, message_id=self.message_id,
            owner_id=self.owner_id, root=self.root, failures=self.failures, losses=self.losses,
            terms=self.terms, log=Outgoing(), reports=Reports(saved=self.saved, stages=self.stages),
        )  # fmt: skip
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
            reports = replace(attempt.reports) if changed else None
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
    traceback: str = field(default="", repr=False)

    def pass_on(self, attempt: Attempt) -> None:
        """Say the rest for the attempt that waits in the worker."""
        self.said.pass_on(attempt)
        attempt.traceback = self.traceback

    def value(self) -> Any:
        """What it returned.

        Raises:
            BaseException: what it raised.
        """
        if self.raised is not None:
            raise self.raised
        return self.returned


def run(job: Connection) -> int:
    """Run what comes over the connection; the exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to all of a service's processes; the worker decides for us
    assignment: Assignment = job.recv()
    capture.install()
    attempt = assignment.attempt()
    threading.Thread(target=_listen, args=(job, attempt), daemon=True).start()
    done = threading.Event()
    speaker = threading.Thread(target=_speak, args=(job, attempt, done), daemon=True)
    speaker.start()
    _limit(assignment.terms)  # a thread's own stack counts too
    ended = _run(assignment, attempt)
    done.set()
    speaker.join()
    job.send_bytes(_pickled(ended))
    sys.stdout.flush()
    return 0


def _run(assignment: Assignment, attempt: Attempt) -> Ended:
    broker = dramatiq.get_broker()
    current.set(attempt)
    if assignment.message:
        CurrentMessage().before_process_message(broker, MessageProxy(Message.decode(assignment.message)))
    fn = broker.get_actor(assignment.task).fn
    try:
        returned = guard.in_frame(attempt, fn, assignment.args, assignment.kwargs)
    except BaseException as error:  # noqa: BLE001 - it ends the attempt in the worker, whatever it is
        _end(attempt)
        return Ended(Said.of(attempt), raised=error, traceback=traceback_of(error))
    _end(attempt)
    return Ended(Said.of(attempt), returned)


def _end(attempt: Attempt) -> None:
    attempt.log.end_line(capture.clock())
    current.set(None)
    connections.close_all()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))  # to say how it ended takes memory too


def _speak(job: Connection, attempt: Attempt, done: threading.Event) -> None:
    while not done.wait(INTERVAL):
        said = Said.of(attempt)
        if said.lines or said.reports is not None:
            job.send(said)


def _listen(job: Connection, attempt: Attempt) -> None:
    """Do as the worker says; without a worker there is nobody to run for."""
    try:
        while True:
            word = job.recv()
            if word == ASK:
                attempt.stop_requested = True
            else:
                _interrupt(attempt, word)
    except (OSError, EOFError):
        os._exit(1)


def _interrupt(attempt: Attempt, kind: type[Interrupt]) -> None:
    while not attempt.frame.interrupt(kind) and not attempt.entered:
        time.sleep(0.01)  # its task is about to begin


def _limit(terms: Terms) -> None:
    """Memory and computing time as the task asks; beyond, Python raises MemoryError, or the system ends it."""
    if terms.memory:
        most = _data_now() + int(terms.memory)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    if terms.cpu_time:
        seconds = max(1, round(terms.cpu_time))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def _data_now() -> int:
    """Bytes of private memory that this process has now; what it shares with the supervisor is in it."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 256 * MEGABYTE  # not Linux: what a loaded TOM takes


def _pickled(ended: Ended) -> bytes:
    """As it can travel: an error whose class cannot goes by its name, a value that cannot stays behind."""
    try:
        encoded = pickle.dumps(ended)
        pickle.loads(encoded)  # some can be written and not read
    except Exception as problem:  # noqa: BLE001 - whatever an author's class does when it is pickled
        return pickle.dumps(_portable(ended, events.first_line(problem)))
    return encoded


def _portable(ended: Ended, problem: str) -> Ended:
    if ended.raised is not None:
        return replace(ended, raised=Unportable(type(ended.raised).__name__, storable.text(ended.raised)))
    warning = f"the return value could not be kept: {problem}"
    return replace(ended, returned=None, said=replace(ended.said, warnings=[*ended.said.warnings, warning]))
