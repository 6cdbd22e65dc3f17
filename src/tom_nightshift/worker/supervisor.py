"""The supervisor: loads Django once, forks the worker processes, replaces one that dies, ends them all.

It has no thread and no connection, ever: what it forks shares its memory and inherits nothing that must not
be shared.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from django.db import connections

from tom_nightshift import events

TOLD_BY = {signal.SIGTERM, signal.SIGINT}

FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0
QUIET = 60.0
"""A process that lived this long, in seconds, did not die at its start: its successor does not wait."""

GRACE_BEYOND = 10.0
"""Seconds that a process has, beyond the grace time, to write down what is left; then it is killed."""


class Supervisor:
    """Keeps ``processes`` worker processes alive.

    Parameters:
        child: runs one worker process; gets what is to be called there first; its return value is the exit
            code.
        grace: seconds that running jobs may take to finish once the supervisor is told to end.
        announce: called with the process id of each worker process that starts.
    """

    def __init__(
        self, processes: int, child: Callable[[int], int], *, grace: float, announce: Callable[[int], None]
    ) -> None:
        self.processes = processes
        self.child = child
        self.grace = grace
        self.announce = announce
        self.running: dict[int, tuple[int, float]] = {}
        """By process id: its place, and when it started (monotonic)."""

        self.due: dict[int, float] = {}
        """By place: when the next process is to be started there."""

        self.waits = dict.fromkeys(range(processes), FIRST_WAIT)
        self.ending_since: float | None = None
        self._news, self._write_news = -1, -1

    def run(self) -> int:
        """Run until told to end (SIGTERM or SIGINT). The exit code."""
        self._freeze()
        self._listen()
        self.due = dict.fromkeys(range(self.processes), 0.0)
        while not (self.ending_since is not None and not self.running):
            self._start_due()
            self._wait_for_news()
            self._reap()
            self._kill_the_late()
        return 0

    def _freeze(self) -> None:
        """What is loaded by now is shared by all; if the collector touched it, pages would be copied."""
        connections.close_all()
        gc.collect()
        gc.freeze()

    def _listen(self) -> None:
        self._news, self._write_news = os.pipe()
        os.set_blocking(self._news, False)
        os.set_blocking(self._write_news, False)
        signal.set_wakeup_fd(self._write_news, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._told_to_end)
        signal.signal(signal.SIGINT, self._told_to_end)

    def _told_to_end(self, number: int, _frame: object) -> None:
        """The first time lets jobs finish; SIGINT once more leaves now."""
        if self.ending_since is None:
            self.ending_since = time.monotonic()
            events.supervisor_ends(signal.Signals(number).name)
            self._signal_all(signal.SIGTERM)
        elif number == signal.SIGINT:
            self._signal_all(signal.SIGKILL)

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in [place for place, when in self.due.items() if when <= now and self.ending_since is None]:
            del self.due[place]
            self._fork(place)

    def _fork(self, place: int) -> None:
        # A signal must not find the child with the supervisor's handlers: it would end its siblings, and not
        # itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, TOLD_BY)
        pid = os.fork()
        if pid == 0:
            self._become_child(before)
        self.running[pid] = (place, time.monotonic())
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self.ending_since is not None:  # told while it was being born
            os.kill(pid, signal.SIGTERM)
        events.process_started(pid, place + 1, self.processes)
        self.announce(pid)

    def _become_child(self, signals_before: set[Any]) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            os.close(self._news)
            os.close(self._write_news)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Ctrl-C reaches the whole terminal; only the supervisor decides what it means.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, signals_before)
            code = self.child(os.getppid())
        except BaseException as error:  # noqa: BLE001 - nobody above would say it
            events.process_failed(error)
        finally:
            os._exit(code)

    def _wait_for_news(self) -> None:
        patience = 1.0
        if self.due and self.ending_since is None:
            patience = min(patience, max(0.0, min(self.due.values()) - time.monotonic()))
        select.select([self._news], [], [], patience)
        with contextlib.suppress(BlockingIOError):
            os.read(self._news, 4096)

    def _reap(self) -> None:
        for pid in list(self.running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._replace(pid, status)

    def _replace(self, pid: int, status: int) -> None:
        """Only the one that died is replaced; one that keeps dying is given more and more time."""
        place, started = self.running.pop(pid)
        if self.ending_since is not None:
            return
        lived = time.monotonic() - started
        self.waits[place] = FIRST_WAIT if lived > QUIET else min(LONGEST_WAIT, self.waits[place] * 2)
        wait = FIRST_WAIT if lived > QUIET else self.waits[place] / 2
        self.due[place] = time.monotonic() + wait
        events.process_ended(pid, _in_words(status), wait)

    def _kill_the_late(self) -> None:
        if self.ending_since is not None and time.monotonic() > self.ending_since + self.grace + GRACE_BEYOND:
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in list(self.running):
            with contextlib.suppress(ProcessLookupError):  # reaped in a moment
                os.kill(pid, number)


def _in_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed ({signal.Signals(os.WTERMSIG(status)).name})"
    return f"ended with exit code {os.WEXITSTATUS(status)}"
