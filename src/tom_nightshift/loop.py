"""A background loop: a thread that ticks until it is told to stop. Written once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tom_nightshift import events


class Loop(threading.Thread):
    """Call ``tick`` every ``interval`` seconds until ``stop()``; an error in a tick is reported, never fatal.

    ``wake()`` makes the next tick come at once.
    """

    def __init__(self, name: str, tick: Callable[[], object], interval: float) -> None:
        super().__init__(name=f"nightshift-{name}", daemon=True)
        self.tick = tick
        self.interval = interval
        self._stopping = False
        self._news = threading.Event()

    def run(self) -> None:
        while not self._stopping:
            self._tick_once()
            self._news.wait(self.interval)
            self._news.clear()

    def wake(self) -> None:
        """Make the next tick come at once."""
        self._news.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End the loop after the tick that is under way, and wait for that."""
        self._stopping = True
        self._news.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout)

    def _tick_once(self) -> None:
        try:
            self.tick()
        except Exception as error:  # noqa: BLE001 - a loop outlives whatever one tick meets
            events.loop_failed(self.name, error)
