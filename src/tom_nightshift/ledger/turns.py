"""Taking turns at SQLite's write lock, among the worker processes of a host.

SQLite does not queue who wants to write: whoever finds the lock taken sleeps, longer each time, and mostly
past the moment when it was free again. Worker processes write for a millisecond and all the time, so they
agree beforehand whose turn it is. That is a courtesy: SQLite's own lock decides, and who waits too long for a
turn goes without one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from django.db import connections

from tom_nightshift.ledger.rundir import run_dir
from tom_nightshift.ledger.session import jobs_alias

NAME = "turns"
"""In the run directory; ``.lock`` is what the locks of workers are called."""

PATIENCE = 0.05
"""Seconds. A process that stands still keeps the others waiting so long, and no longer."""

LOOK_AGAIN = 0.0003
"""Seconds: less than a transaction of a worker process takes."""


class Turns:
    """The turns of one worker process."""

    def __init__(self) -> None:
        self.is_mine = False
        """Whether this process has its turn."""

        self._file: int | None = None

    @contextlib.contextmanager
    def mine(self) -> Iterator[None]:
        """Others of this host wait until the block is over; where there are no turns, nobody does."""
        self.is_mine = connections[jobs_alias()].vendor == "sqlite" and self._take()
        try:
            yield
        finally:
            if self.is_mine:
                self._give()

    def close(self) -> None:
        """Take no more turns."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self) -> bool:
        patience = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):  # no run directory: SQLite's lock alone, then
            if self._file is None:
                self._file = os.open(run_dir() / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            while not _is_locked(self._file):
                if time.monotonic() > patience:
                    return False
                _rest()
            return True
        return False

    def _give(self) -> None:
        self.is_mine = False
        assert self._file is not None
        fcntl.flock(self._file, fcntl.LOCK_UN)


def _rest() -> None:
    time.sleep(LOOK_AGAIN)


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
