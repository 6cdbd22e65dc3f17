"""How jobs are sent. Runs in a process of its own, as a web server does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

Sends = Callable[[int], None]


def burst(sender: str, first: int, count: int) -> dict[str, float]:
    """One after the other, as fast as it goes; seconds, and seconds of CPU time, that took."""
    send = _prepared(sender)
    cpu, clock = time.process_time(), time.perf_counter()
    for number in range(first, first + count):
        send(number)
    return {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu}


def spaced(sender: str, first: int, count: int, shortest: float, longest: float) -> list[list[int]]:
    """With pauses drawn between these seconds.

    Returns:
        of each, (number, began, returned) in nanoseconds since 1970.
    """
    chance = random.Random(first)  # noqa: S311 - the same pauses for all
    send = _prepared(sender)
    return [_timed(send, number, chance.uniform(shortest, longest)) for number in range(first, first + count)]


def pairs(sender: str, first: int, count: int, pause: float, gap: float) -> list[list[int]]:
    """Pairs, ``gap`` seconds from the first to the second, ``pause`` seconds before each; as `spaced`."""
    send = _prepared(sender)
    sent = []
    for number in range(first, first + 2 * count, 2):
        sent.append(_timed(send, number, pause))
        spent = (time.time_ns() - sent[-1][1]) / 1e9
        sent.append(_timed(send, number + 1, max(0.0, gap - spent)))
    return sent


def _timed(send: Sends, number: int, pause: float) -> list[int]:
    time.sleep(pause)
    began = time.time_ns()
    send(number)
    return [number, began, time.time_ns()]


def _prepared(sender: str) -> Sends:
    module: Any = import_module(sender)
    prepared: Sends = module.prepare()
    return prepared
