"""A background loop: a thread that ticks until it is told to stop. Written once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tom_nightshift import events


class Loop(threading.Thread):
    """Call ``tick`` every ``interval`` seconds until ``stop()``; an error in a tick is reported, never fatal.

    ``wake()`` makes the next tick come at once.

    Parameters:
        needed: False: there is nothing to tick for, and the loop sleeps until ``rouse()``.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], object],
        interval: float,
        needed: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name=f"nightshift-{name}", daemon=True)
        self.tick = tick
        self.interval = interval
        self.needed = needed
        self.resting = False
        self._stopping = False
        self._roused = threading.Event()
        self._news = threading.Event()

    def run(self) -> None:
        while not self._stopping:
            self._tick_once()
            self._rest()
            self._news.wait(self.interval)
            self._news.clear()

    def wake(self) -> None:
        """Make the next tick come at once."""
        self._news.set()

    def rouse(self) -> None:
        """There may be something to tick for again: in an interval it ticks."""
        if not self._roused.is_set():  # much cheaper than to set it again
            self._roused.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End the loop after the tick that is under way, and wait for that."""
        self._stopping = True
        self._news.set()
        self._roused.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout)

    def _rest(self) -> None:
        """Sleep while nothing is needed. What is needed from now on rouses: it is looked for only after."""
        self.resting = True
        while not (self._stopping or self.needed()):
            self._roused.wait()
            self._roused.clear()
        self.resting = False

    def _tick_once(self) -> None:
        try:
            self.tick()
        except Exception as error:  # noqa: BLE001 - a loop outlives whatever one tick meets
            events.loop_failed(self.name, error)
