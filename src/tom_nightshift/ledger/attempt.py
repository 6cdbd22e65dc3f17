"""One attempt as the process that runs it knows it: the token, what is reported, how it ended.

The attempt that the calling thread is running is kept in a context variable, so that log lines and
``progress()`` find it.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

from dramatiq import Message, MessageProxy
from dramatiq.middleware import Interrupt

from tom_nightshift.conf import get_settings
from tom_nightshift.ledger.ending import Ending
from tom_nightshift.ledger.frame import Frame
from tom_nightshift.ledger.logbuffer import LogBuffer
from tom_nightshift.ledger.options import Terms
from tom_nightshift.ledger.secrets import NONE, Secrets


@dataclass(slots=True)
class Retry:
    """Dramatiq asked that the very message being run be enqueued again."""

    message: Message[Any]
    delay: float
    """Seconds."""


@dataclass(slots=True)
class Reports:
    """What a task has said and the row does not know yet."""

    done: float | None = None
    total: float | None = None
    note: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    closed: bool = False
    """Once closed, only the statement that ends the attempt may write."""


class OwnProcess(Protocol):
    """The process that runs an attempt and nothing else."""

    def ask_to_stop(self) -> None:
        """Have ``progress()`` and ``checkpoint()`` raise there."""

    def interrupt(self, kind: type[Interrupt]) -> bool:
        """Raise in the task there. False: it is not inside the task."""

    def kill(self) -> None:
        """Kill it."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt. ``(job_id, number)`` is the token that every write of it carries."""

    job_id: int
    number: int
    task: str
    queue: str
    _: KW_ONLY  # so many of the same type: by position one would slip into another
    title: str = ""
    message_id: str = ""
    message: MessageProxy | None = None
    """Dramatiq's message of this delivery, once it could be read."""

    owner_id: int | None = None
    root: int | None = None
    failures: int = 0
    losses: int = 0
    reports: Reports = field(default_factory=Reports)
    log: LogBuffer = field(default_factory=lambda: LogBuffer(get_settings().log_bytes))
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while reports are taken to the database, so that the end of the attempt comes after them."""

    terms: Terms = field(default_factory=Terms)
    """What its task was declared with, once a thread has begun it."""

    inline: bool = False
    """It runs where it was asked for, in the caller's thread."""

    secrets: Secrets = NONE
    """What it must not say, in any text that is stored; set by ``keep_secret``."""

    stop_requested: bool = False
    ending: Ending | None = None
    """It is to end before it is done."""

    stuck: bool = False
    """It has not ended in spite of everything: only the end of its process will end it."""

    frame: Frame = field(default_factory=Frame)
    entered: bool = False
    """Its task has begun."""

    over: bool = False
    """Its task has ended; only its outcome is still to be written."""

    process: OwnProcess | None = None
    begun: float | None = None
    """``time.monotonic()`` when a thread began it."""

    thread: threading.Thread | None = None
    """The thread that runs it, once it has begun."""

    value: Any = None
    not_kept: str = ""
    """Why what it returned is not kept, for the caller who asks for it."""

    exception: BaseException | None = None
    traceback: str = ""
    retry: Retry | None = None
    put_back: BaseException | None = None
    """Why its end is not the end of the job."""

    left: bool = False
    """Its task has been left: what is asked for from here on, Dramatiq's hooks ask for."""

    following: list[Any] = field(default_factory=list)
    """What its end is to bring with it (``ledger/following.py``)."""

    skipped: bool = False
    warnings: list[str] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)

    @property
    def token(self) -> tuple[int, int]:
        """(row id, attempt)."""
        return self.job_id, self.number

    @property
    def has_a_thread(self) -> bool:
        """Whether a thread runs it, or is still to begin it."""
        return self.thread is None or self.thread.is_alive()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    def interrupt(self, kind: type[Interrupt]) -> bool:
        """Raise in its task, wherever that runs. False: it is not inside the task."""
        return (self.process or self.frame).interrupt(kind)

    def keep_secret(self, secrets: Secrets) -> None:
        """From here on none of these appears in what it says."""
        self.secrets = secrets
        self.log.mask = secrets.mask

    def close_reports(self) -> None:
        """From here on only the statement that ends the attempt writes; waits for a write under way."""
        with self.lock:
            self.reports.closed = True


current: ContextVar[Attempt | None] = ContextVar("nightshift_attempt", default=None)
