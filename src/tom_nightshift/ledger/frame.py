"""The frame of a task: the one stretch of code in which its thread may be interrupted.

CPython raises an interrupt in a thread some time after it was asked to. Raised in the engine's own code it
would end the thread, or hit the job that comes next (Dramatiq's time limit does that). So an interrupt is
asked for only while the thread is inside the frame, and one that has not come by the time the task leaves is
taken back, under the same lock.
"""

from __future__ import annotations

import ctypes
import threading

from dramatiq.middleware import Interrupt

A_MOMENT = 1.0
"""Seconds to wait for the lock; nobody holds it longer than a few instructions."""


class Frame:
    """Where the thread of an attempt is: inside its task or not."""

    def __init__(self) -> None:
        self.interrupted = False
        """Whether an interrupt was ever asked for: what the thread holds may be in disorder since."""

        self._thread: int | None = None
        self._lock = threading.Lock()

    @property
    def entered(self) -> bool:
        """Whether the thread is inside the task."""
        return self._thread is not None

    def enter(self) -> None:
        """The calling thread begins the task."""
        self._thread = threading.get_ident()

    def leave(self) -> None:
        """The calling thread has left the task; whatever it was still to be interrupted by is forgotten."""
        while self._thread is not None:
            try:
                with self._lock:
                    if self.interrupted:
                        _raise_in(threading.get_ident(), None)
                    self._thread = None
            except Interrupt:
                # It came between the task's end and the lock. The task had ended by then: that counts.
                continue

    def interrupt(self, kind: type[Interrupt]) -> bool:
        """Raise in the task's thread, as soon as it runs Python code. False: it is not inside the task."""
        if not self._lock.acquire(timeout=A_MOMENT):
            return False
        try:
            if self._thread is None:
                return False
            self.interrupted = True
            return _raise_in(self._thread, kind)
        finally:
            self._lock.release()


def _raise_in(thread: int, kind: type[Interrupt] | None) -> bool:
    """``PyThreadState_SetAsyncExc``; of no kind: take back one that has not come yet."""
    wanted = ctypes.py_object() if kind is None else ctypes.py_object(kind)
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted))
