"""When the dispatcher looks at the database, and for how long it may wait.

Looks take no lock. There is none while claims come back full. On SQLite it is asked in between, which costs
no statement, whether anything was written: that makes the next look come at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from tom_nightshift.ledger import admission, moves
from tom_nightshift.ledger.session import Sql

POLL = 1.0
"""Seconds between looks for jobs that nobody rang for."""

GLANCE = 0.25
"""Seconds between two questions whether anything was written (SQLite)."""

UNCHANGED = 5.0
"""Seconds between looks while nothing was (SQLite)."""

BUSY = 0.05
"""Seconds between looks for jobs that are due, while others keep the dispatcher busy."""

SOON = 0.02
"""Seconds before what could not be had is tried again."""


class Lookout:
    """What the last look saw, and when the next is due.

    Parameters:
        worth: looks.
    """

    def __init__(self, worth: Callable[[Sql, Sequence[str]], moves.Worth] = moves.worth_claiming) -> None:
        self._worth = worth
        self.ready = False
        """Whether a claim would have found something."""

        self.any_due = False
        """Whether jobs held until a time could have been released."""

        self.any_held = False
        """Whether any waited for a limit or a rate."""

        self._due_at = math.inf
        self._looked_at = -math.inf
        self._version: int | None = None
        self._poll = POLL

    @property
    def is_overdue(self) -> bool:
        """Whether a dispatcher that is busy is to look all the same: a job may be due."""
        now = time.monotonic()
        return now >= self._due_at or now >= self._looked_at + BUSY

    def look(self, sql: Sql, queues: Sequence[str]) -> bool:
        """Whether a claim would find something now."""
        if not self._is_unchanged(sql):
            until_due, self.ready, self.any_held = self._worth(sql, queues)
            until_open = self._look_at_held(sql) if self.any_held else None
            moments = [until for until in (until_due, until_open) if until is not None]
            self.any_due = until_due is not None and until_due <= 0
            self._looked_at = now = time.monotonic()
            self._due_at = now + min(moments, default=math.inf)
        return self.ready or self.any_due

    def _look_at_held(self, sql: Sql) -> float | None:
        self.ready = self.ready or admission.is_called_for(sql)
        return admission.seconds_until_open(sql)

    def forget(self) -> None:
        """What the last look saw is true no more: something was claimed, or released."""
        self.ready = self.any_due = False
        self._version = None

    def patience(self) -> float:
        """Seconds to wait for a ring: until the next job is due, at most one poll."""
        if self.ready or self.any_due:  # another process was about to take them
            return SOON
        return min(self._poll, max(0.01, self._due_at - time.monotonic()))

    def _is_unchanged(self, sql: Sql) -> bool:
        """Whether nobody has written since a look a moment ago that found nothing (SQLite)."""
        if sql.vendor != "sqlite":
            return False
        self._poll = GLANCE
        before, self._version = self._version, int(sql.rows("PRAGMA data_version")[0][0])
        is_same = before == self._version and not (self.ready or self.any_due)
        return is_same and time.monotonic() < min(self._due_at, self._looked_at + UNCHANGED)
