"""An attempt that is to end before it is done: asked, then interrupted, then killed.

Whoever wants it to end says so here; ``worker/enforcer.py`` carries it out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import IntEnum

from dramatiq.middleware import Interrupt

from tom_nightshift.conf import get_settings


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
            self.stage, self.next_at = stage, time.monotonic() + patience()


def ask(seconds: float | None) -> Ending:
    """Somebody stops the job.

    Parameters:
        seconds: until the next stage, as its row says; None where it does not say.
    """
    return Ending(Stopped, Stage.ASKED, time.monotonic() + (patience() if seconds is None else seconds))


def interrupt(kind: type[Interrupt], seconds: float | None = None) -> Ending:
    """End it now.

    Parameters:
        seconds: until it is killed; None: as long as between any two stages.
    """
    return Ending(kind, Stage.RAISED, time.monotonic() + (patience() if seconds is None else seconds))


def patience() -> float:
    """Seconds between two stages."""
    return get_settings().stop_patience
