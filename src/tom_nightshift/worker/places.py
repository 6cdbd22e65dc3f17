"""The places for worker processes that a supervisor keeps filled: who is in which, since when, when the next
comes.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0
QUIET = 60.0
"""A process that lived this long, in seconds, did not die at its start: its successor does not wait."""


@dataclass(slots=True)
class Occupant:
    """A worker process."""

    place: int
    control: socket.socket
    started: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    """When it last said that it is alive (monotonic)."""

    retiring: bool = False
    """Another has taken its place; it ends when its jobs have."""


class Places:
    """So many places; each has a process, or waits for its next one."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.occupants: dict[int, Occupant] = {}
        """By process id."""

        self._due = dict.fromkeys(range(count), 0.0)
        self._waits = dict.fromkeys(range(count), FIRST_WAIT)

    def due(self) -> list[int]:
        """The places where a process is to be started now."""
        now = time.monotonic()
        return [place for place, when in self._due.items() if when <= now]

    def seconds_until_due(self) -> float | None:
        """Until the next process is to be started; None: all places are filled."""
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    def fill(self, place: int, pid: int, control: socket.socket) -> None:
        """This process has the place now."""
        self._due.pop(place, None)
        self.occupants[pid] = Occupant(place, control)

    def retire(self, pid: int) -> None:
        """This process takes no more jobs: its place is free."""
        occupant = self.occupants[pid]
        if not occupant.retiring:
            occupant.retiring = True
            self._due[occupant.place] = 0.0

    def leave(self, pid: int) -> Occupant:
        """This process has ended. Who it was."""
        occupant = self.occupants.pop(pid)
        occupant.control.close()
        return occupant

    def free(self, occupant: Occupant) -> float:
        """The place of a process that ended on its own is to be filled again: in how many seconds."""
        if time.monotonic() - occupant.started > QUIET:
            self._waits[occupant.place] = FIRST_WAIT
        wait = self._waits[occupant.place]
        self._waits[occupant.place] = min(LONGEST_WAIT, 2 * wait)
        self._due[occupant.place] = time.monotonic() + wait
        return wait

    def silent(self, seconds: float) -> list[int]:
        """The processes that have said nothing for so long."""
        now = time.monotonic()
        return [pid for pid, occupant in self.occupants.items() if now - occupant.heard > seconds]

    def excuse(self, seconds: float) -> None:
        """Whoever listens was away itself for so long."""
        for occupant in self.occupants.values():
            occupant.heard += seconds
