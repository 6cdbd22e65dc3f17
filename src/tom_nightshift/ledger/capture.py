"""What a task logs and prints goes to its job's log too: that job's only, found by context variable."""

from __future__ import annotations

import io
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from tom_nightshift.ledger.attempt import current


class JobLogHandler(logging.Handler):
    """Sends a record to the log of the job that the thread is running, if it runs one."""

    def emit(self, record: logging.LogRecord) -> None:
        attempt = current.get()
        if attempt is None or record.name.startswith(("dramatiq", "nightshift")):
            return
        try:
            level = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
            for line in record.getMessage().splitlines() or [""]:
                attempt.log.add(f"{_clock(record.created)} {level}{line}")
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end the job
            self.handleError(record)


class JobPrints(io.TextIOBase):
    """A standard stream that also writes whole lines to the log of the job that the thread is running."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        attempt = current.get()
        if attempt is not None:
            for line in text.splitlines():
                if line.strip():
                    attempt.log.add(f"{_clock()} {line}")
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_handler = JobLogHandler()


def install(*, prints: bool) -> None:
    """Begin to capture in this process; ``prints`` takes standard output too (worker processes only)."""
    root = logging.getLogger()
    if _handler not in root.handlers:
        root.addHandler(_handler)
        if root.level in (logging.NOTSET, logging.WARNING):
            # Python's default: a task's logger.info() would never reach any handler.
            root.setLevel(logging.INFO)
    if prints and not isinstance(sys.stdout, JobPrints):
        sys.stdout = JobPrints(sys.stdout)


def uninstall() -> None:
    """Stop capturing."""
    logging.getLogger().removeHandler(_handler)
    if isinstance(sys.stdout, JobPrints):
        sys.stdout = sys.stdout.stream


def _clock(seconds: float | None = None) -> str:
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)  # noqa: TID251 - words
    return f"{moment:%H:%M:%S}"
