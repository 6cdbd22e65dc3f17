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
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

from django.db import connections

from tom_nightshift import events
from tom_nightshift.worker import birth, control, reload, spawn
from tom_nightshift.worker.control import Control
from tom_nightshift.worker.places import Places
from tom_nightshift.worker.zygote import Zygote

HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

LOOK = 1.0
"""Seconds between looks while nothing is heard."""

GRACE_BEYOND = 10.0
"""Seconds that a process has, beyond the grace time, to write down what is left; then it is killed."""


class Supervisor:
    """Keeps ``processes`` worker processes alive.

    Parameters:
        child: runs one worker process; its return value is the exit code.
        grace: seconds that running jobs may take to finish once the supervisor is told to end.
        unresponsive: seconds of silence after which a process is killed.
        drain: a process that ends in good order is not replaced; when all have, the supervisor ends.
        announce: called with the process id of each worker process that starts.
    """

    def __init__(
        self, processes: int, child: Callable[[Control], int], *, grace: float, unresponsive: float,
        announce: Callable[[int], None], drain: bool = False,
    ) -> None:  # fmt: skip
        self.child = child
        self.grace = grace
        self.unresponsive = unresponsive
        self.announce = announce
        self.drain = drain
        self.places = Places(processes)
        self.zygote = Zygote(lambda main: self._fork(main, signal.SIGKILL))
        self.before = reload.inherited()
        """Processes of the code before the last reload; each ends when its jobs have."""

        self.ending_since: float | None = None
        self.reload_wanted = False
        self._looked = time.monotonic()
        self._news, self._write_news = -1, -1

    def run(self) -> int:
        """Run until told to end (SIGTERM or SIGINT), or until drained. The exit code."""
        self._freeze()
        self._listen()
        while not self._is_done():
            self._start_due()
            self._hear()
            self._reap()
            self._kill_the_silent()
            self._kill_the_late()
            self._reload()
        self.zygote.kill_all()
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
        signal.signal(signal.SIGHUP, self._told_to_reload)

    def _told_to_end(self, number: int, _frame: object) -> None:
        """The first time lets jobs finish; SIGINT once more leaves now."""
        if self.ending_since is None:
            self.ending_since = time.monotonic()
            events.supervisor_ends(signal.Signals(number).name)
            self._signal_all(signal.SIGTERM)
        elif number == signal.SIGINT:
            self._signal_all(signal.SIGKILL)
            self.zygote.kill_all()

    def _told_to_reload(self, _number: int, _frame: object) -> None:
        self.reload_wanted = True

    def _is_done(self) -> bool:
        if self.places.occupants or self.before:
            return False
        return self.ending_since is not None or self.places.seconds_until_due() is None

    def _start_due(self) -> None:
        for place in self.places.due() if self.ending_since is None else []:
            self._start(place)

    def _start(self, place: int) -> None:
        ours, theirs = control.pair()
        supervisor = os.getpid()
        pid = self._fork(lambda: self._be_worker(ours, Control(theirs, supervisor)), signal.SIGTERM)
        theirs.close()
        self.places.fill(place, pid, ours)
        if self.ending_since is not None:  # told while it was being born
            os.kill(pid, signal.SIGTERM)
        events.process_started(pid, place + 1, self.places.count)
        self.announce(pid)

    def _be_worker(self, ours: socket.socket, mine: Control) -> int:
        ours.close()
        if spawn.is_wanted():
            spawn.become(spawn.WORKER, mine)
        return self.child(mine)

    def _fork(self, main: Callable[[], int], on_orphaned: signal.Signals) -> int:
        # A signal must not find the child with the supervisor's handlers: it would end its siblings, and not
        # itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            pid = os.fork()
            if pid == 0:
                self._become(main, on_orphaned, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid

    def _become(self, main: Callable[[], int], on_orphaned: signal.Signals, before: set[Any]) -> NoReturn:
        code = 1
        try:
            birth.settle(on_orphaned)
            self._close_everything()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            code = main()
        except BaseException as error:  # noqa: BLE001 - nobody above would say it
            events.process_failed(error)
        finally:
            os._exit(code)

    def _close_everything(self) -> None:
        """What the supervisor hears by is not for its children."""
        os.close(self._news)
        os.close(self._write_news)
        for one in self._ears():
            one.close()

    def _ears(self) -> list[socket.socket]:
        return [*(occupant.control for occupant in self.places.occupants.values()), *self.zygote.sockets]

    def _hear(self) -> None:
        patience = self.places.seconds_until_due() if self.ending_since is None else None
        listened: list[Any] = [self._news, *self._ears()]
        heard, _, _ = select.select(listened, [], [], LOOK if patience is None else min(LOOK, patience))
        self._excuse_own_absence()
        with contextlib.suppress(BlockingIOError):
            os.read(self._news, 4096)
        for pid, occupant in list(self.places.occupants.items()):
            if occupant.control in heard:
                self._heed(pid, occupant.control)
        for line in self.zygote.sockets:
            if line in heard:
                self.zygote.heed(line)

    def _heed(self, pid: int, said: socket.socket) -> None:
        """Hear a worker out."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                word, descriptors, _, _ = socket.recv_fds(said, control.LONGEST, 2)
                if not word:
                    return
                self.places.occupants[pid].heard = time.monotonic()
                if word == control.ISOLATE and len(descriptors) == 2:
                    self.zygote.start(descriptors)
                elif word == control.RETIRES:
                    self.places.retire(pid)

    def _excuse_own_absence(self) -> None:
        """A supervisor that was itself suspended must not take the silence since then for the others'."""
        now = time.monotonic()
        if now - self._looked > 3 * LOOK:
            self.places.excuse(now - self._looked)
        self._looked = now

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid in self.places.occupants:
                    self._replace(pid, status)
                elif not self.zygote.ended(pid, status):
                    self.before.discard(pid)

    def _replace(self, pid: int, status: int) -> None:
        """Only the one that died is replaced; one that keeps dying is given more and more time."""
        occupant = self.places.leave(pid)
        if self.ending_since is not None or occupant.retiring or (self.drain and status == 0):
            return
        wait = self.places.free(occupant)
        events.process_ended(pid, birth.in_words(status), wait)

    def _kill_the_silent(self) -> None:
        for pid in self.places.silent(self.unresponsive):
            events.process_silent(pid, self.unresponsive)
            _tell(pid, signal.SIGKILL)
            self.places.occupants[pid].heard = time.monotonic()

    def _kill_the_late(self) -> None:
        if self.ending_since is not None and time.monotonic() > self.ending_since + self.grace + GRACE_BEYOND:
            self._signal_all(signal.SIGKILL)

    def _reload(self) -> None:
        for pid in self.before:
            _tell(pid, signal.SIGHUP)
        if self.reload_wanted and self.ending_since is None:
            self.reload_wanted = False
            reload.start_anew({*self.places.occupants, *self.before})

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in [*self.places.occupants, *self.before]:
            _tell(pid, number)


def _tell(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # reaped in a moment
        os.kill(pid, number)
