"""What a task logs and prints goes to its job's log too: that job's only, found by context variable."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from tom_nightshift.ledger.attempt import current

NOT_THE_TASK = {"dramatiq", "nightshift"}
"""Loggers of the engine, by their first name."""


class JobLogHandler(logging.Handler):
    """Sends a record to the log of the job that the thread is running, if it runs one."""

    def emit(self, record: logging.LogRecord) -> None:
        if not _somebody_else_hears(record.name) and logging.lastResort is not None:
            # Without this handler Python itself would show it.
            logging.lastResort.handle(record) if record.levelno >= logging.lastResort.level else None
        attempt = current.get()
        if attempt is None or record.name.partition(".")[0] in NOT_THE_TASK:
            return
        try:
            level = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
            for line in self.format(record).splitlines() or [""]:
                attempt.log.add(f"{clock(record.created)} {level}{line}")
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end the job
            self.handleError(record)


class JobPrints(io.TextIOBase):
    """A standard stream that also writes to the log of the job that the thread is running."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        attempt = current.get()
        if attempt is not None:
            attempt.log.write(text, clock())
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_handler = JobLogHandler()
_listening = 0
_level_before = logging.WARNING
_lock = threading.Lock()


def install() -> None:
    """Begin to capture in this worker process: what is logged and what is printed."""
    _listen(logging.getLogger())
    if not isinstance(sys.stdout, JobPrints):
        sys.stdout = JobPrints(sys.stdout)


def uninstall() -> None:
    """Undo ``install``."""
    logging.getLogger().removeHandler(_handler)
    if isinstance(sys.stdout, JobPrints):
        sys.stdout = sys.stdout.stream


@contextmanager
def listening() -> Iterator[None]:
    """Capture what is logged while the block runs, and leave the site's logging as it was."""
    global _listening, _level_before
    root = logging.getLogger()
    with _lock:
        _listening += 1
        if _listening == 1 and _handler not in root.handlers:
            _level_before = root.level
            _listen(root)
    try:
        yield
    finally:
        with _lock:
            _listening -= 1
            if _listening == 0:
                root.removeHandler(_handler)
                root.setLevel(_level_before)


def clock(seconds: float | None = None) -> str:
    """The time of day in UTC, as the log shows it."""
    return _clock(int(time.time() if seconds is None else seconds))


@lru_cache(maxsize=8)
def _clock(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"


def _listen(root: logging.Logger) -> None:
    if _handler not in root.handlers:
        root.addHandler(_handler)
    if root.level in (logging.NOTSET, logging.WARNING):
        # Python's default: a task's logger.info() would never reach any handler.
        root.setLevel(logging.INFO)


def _somebody_else_hears(name: str) -> bool:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(handler is not _handler for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
