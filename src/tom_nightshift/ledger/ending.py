"""An attempt that is to end before it is done: asked, then interrupted, then killed.

Whoever wants it to end says so here; ``worker/enforcer.py`` carries it out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import IntEnum

from dramatiq.middleware import Interrupt

STAGE = 10.0
"""Seconds between two stages."""


class Stage(IntEnum):
    """How hard an attempt is urged to end."""

    ASKED = 1
    """``progress()`` and ``checkpoint()`` raise."""
    RAISED = 2
    """An interrupt was raised in its thread."""
    KILLED = 3
    """Its process is killed: its own one at once, one that it shares when the others have ended."""


class Stopped(Interrupt):
    """Raised in the thread of a job that was asked to stop and did not."""


@dataclass(slots=True)
class Ending:
    """Why and how hard an attempt is urged to end."""

    kind: type[Interrupt]
    stage: Stage
    next_at: float
    """``time.monotonic()`` when the next stage comes."""

    done: int = 0
    """The last stage that was carried out."""

    written: int = Stage.ASKED
    """The last stage that its row knows of."""

    @property
    def seconds_left(self) -> float:
        """Seconds until the next stage."""
        return max(0.0, self.next_at - time.monotonic())

    def urge(self, stage: Stage) -> None:
        """Go to this stage, if it is not there yet."""
        if stage > self.stage:
            self.stage, self.next_at = stage, time.monotonic() + STAGE


def ask(seconds: float | None) -> Ending:
    """Somebody stops the job.

    Parameters:
        seconds: until the next stage, as its row says; None where it does not say.
    """
    patience = STAGE if seconds is None else seconds
    return Ending(Stopped, Stage.ASKED, time.monotonic() + patience)


def interrupt(kind: type[Interrupt], patience: float = STAGE) -> Ending:
    """End it now.

    Parameters:
        patience: seconds until it is killed.
    """
    return Ending(kind, Stage.RAISED, time.monotonic() + patience)
