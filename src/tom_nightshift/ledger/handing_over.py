"""Outcomes on their way to their rows: worker threads hand them over, the dispatcher writes them.

Many are written in one transaction. Where that is refused each is tried alone, so that none keeps the others
from their rows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress

from tom_nightshift import events
from tom_nightshift.ledger import batches, following, outcomes
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.outcomes import Outcome
from tom_nightshift.ledger.session import UNREACHABLE, OwnConnection, Sql


@dataclass(slots=True, eq=False)
class HandedOver:
    """An outcome on its way to its row."""

    attempt: Attempt
    outcome: Outcome
    written: threading.Event | None = None
    """Set once it is committed, for a thread that waits for that."""


Settle = Callable[[Sequence[tuple[HandedOver, bool | None]]], None]
"""Told of those that are committed: whether their attempts still held their rows; None: one could not be
written.
"""


@dataclass(slots=True)
class HandOver:
    """Those that are not written yet, first come first.

    Parameters:
        settle: told of them once they are written.
    """

    settle: Settle
    _waiting: deque[HandedOver] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: HandedOver) -> None:
        """Any thread hands one over."""
        self._waiting.append(item)

    def take(self) -> list[HandedOver]:
        """All that are there now, to be written; those that were not are to be given back."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def give_back(self, items: Sequence[HandedOver]) -> None:
        """These could not be written now."""
        self._waiting.extendleft(reversed(items))

    def written(self, items: list[HandedOver], accepted: Sequence[bool | None]) -> None:
        """The first of these are committed: take them from the list."""
        done = [(items.pop(0), was_accepted) for was_accepted in accepted]
        self.settle(done)
        for item, _ in done:
            if item.written is not None:
                item.written.set()

    def write_one_by_one(self, connection: OwnConnection, items: list[HandedOver]) -> None:
        """One of these is refused: it must not keep the others from their rows."""
        while items:
            self.written(items, [_write_alone(connection, items[0])])


def write_together(sql: Sql, items: Sequence[HandedOver]) -> list[bool]:
    """Write these in a transaction. Which attempts still held their rows, in order."""
    if not items:
        return []
    ended = [(item.attempt, item.outcome) for item in items]
    accepted = batches.write(sql, ended)
    following.write(sql, list(compress(ended, accepted)))
    return accepted


def _write_alone(connection: OwnConnection, item: HandedOver) -> bool | None:
    """Whether the attempt still held its row; None: not even the bare outcome could be written."""
    try:
        with connection.transaction() as sql:
            accepted = outcomes.write(sql, item.attempt, item.outcome)
            following.write(sql, [(item.attempt, item.outcome)] if accepted else [])
            return accepted
    except UNREACHABLE:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the job must not stay "running"
        events.outcome_refused(item.attempt.job_id, error)
        return _write_bare(connection, item, events.first_line(error))


def _write_bare(connection: OwnConnection, item: HandedOver, problem: str) -> bool | None:
    try:
        with connection.transaction() as sql:
            return outcomes.write_bare(sql, item.attempt, item.outcome, problem)
    except UNREACHABLE:
        raise
    except Exception as error:  # noqa: BLE001 - kept, it would come first at every turn, and nothing after it
        events.outcome_given_up(item.attempt.job_id, error)
        return None
