"""Tests wait for something, never for some time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

LOOK_AGAIN = 0.01


def wait_until(condition: Callable[[], Found | None], *, at_most: float = 30.0, what: str = "") -> Found:
    """What the condition gives, once that is true.

    Raises:
        AssertionError: it was not after ``at_most`` seconds.
    """
    deadline = time.monotonic() + at_most
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {at_most} s: {what or condition!r}; last {found!r}"
        _pause()
    return found


def _pause() -> None:
    threading.Event().wait(LOOK_AGAIN)
