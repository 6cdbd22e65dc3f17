"""Loaded into each process of the site under test: how it dies by itself, and how soon it is replaced.

A *moment* lies before each statement of a transaction of Nightshift's own, and one more after each COMMIT.
With ``CRASHES`` naming a folder, the n-th process kills itself at its n-th moment (times ``STRIDE``), after
it has written down where.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tom_nightshift.ledger import session
from tom_nightshift.worker import places

CRASHES = "NIGHTSHIFT_CHAOS_CRASHES"
STRIDE = "NIGHTSHIFT_CHAOS_STRIDE"
SOON = 0.2
"""Seconds after which a process that died is replaced, however often that happened."""


def prepare() -> None:
    """Have processes replaced at once, and let them die if this site was asked for that."""
    places.LONGEST_WAIT = SOON
    if folder := os.environ.get(CRASHES):
        crashes = Crashes(Path(folder), int(os.environ.get(STRIDE, "1")))
        os.register_at_fork(after_in_child=crashes.begin)
        crashes.watch()


class Crashes:
    """The moments at which processes of a site kill themselves.

    Parameters:
        folder: ``crashed`` in it has a line for each such death; ``peace`` ends them.
        stride: moments between the deaths of two processes.
    """

    def __init__(self, folder: Path, stride: int = 1) -> None:
        self.folder = folder
        self.stride = stride
        self.at = 0
        self.count = 0
        self._lock = threading.Lock()
        self._mine = threading.local()

    def crashed(self) -> list[str]:
        """Where processes have died: the statement before which, or COMMIT after which."""
        file = self.folder / "crashed"
        return file.read_text().splitlines() if file.exists() else []

    def make_peace(self) -> None:
        """From now on no process dies by itself."""
        (self.folder / "peace").touch()

    def begin(self) -> None:
        """A process is born: it dies later than the one before it."""
        self.at, self.count = (len(self.crashed()) + 1) * self.stride, 0
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Count the moments of this process."""
        for name in ("rows", "run"):
            setattr(session.OwnSql, name, self._before(getattr(session.OwnSql, name)))
        setattr(session.OwnSql, "frame", self._around(session.OwnSql.frame))  # noqa: B010 - mypy holds it to its name

    def moment(self, words: str) -> None:
        """One more moment; the process may die in it."""
        with self._lock:
            self.count += 1
            if self.count == self.at and not (self.folder / "peace").exists():
                append(self.folder / "crashed", " ".join(words.split()))
                os.kill(os.getpid(), signal.SIGKILL)

    def _before(self, true: Callable[..., Any]) -> Callable[..., Any]:
        def statement(sql: session.Sql, words: str, params: Any = ()) -> Any:
            if getattr(self._mine, "in_transaction", False):
                self.moment(f"before {words}")
            return true(sql, words, params)

        return statement

    def _around(self, true: Callable[[session.OwnSql, str], None]) -> Callable[[session.OwnSql, str], None]:
        def frame(sql: session.OwnSql, words: str) -> None:
            if words == "COMMIT":
                self.moment("before COMMIT")
            self._mine.in_transaction = words.startswith("BEGIN")
            true(sql, words)
            if words == "COMMIT":
                self.moment("after COMMIT")

        return frame


def append(file: Path, words: str) -> None:
    """One line in one write: those of several processes do not mix, and a death comes before it or after."""
    opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, f"{words}\n".encode())
    finally:
        os.close(opened)
