"""How callers wait for what another process does: by looking, soon at first and then ever less often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two looks: each pause is half as long again as the one before."""


def look_until(look: Callable[[], Found | None], seconds: float | None) -> Found | None:
    """What a look finds; None: nothing within so many seconds (None: never give up)."""
    deadline = None if seconds is None else time.monotonic() + seconds
    pause = FIRST_PAUSE
    while (found := look()) is None:
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(LONGEST_PAUSE, pause * 1.5)
    return found
