"""The doorbell: a datagram that wakes the workers of this host at once; those of other hosts are sent a
notice. Polling underneath is the path that is correct.

Every worker process listens on a socket of its own in the run directory. Ringing never waits and never fails:
a socket that is full has been rung already.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import socket
import threading
import time
import uuid
from functools import cache
from typing import Any

from django.db import connections, transaction

from tom_nightshift.ledger import notices, rundir
from tom_nightshift.ledger.session import jobs_alias

SUFFIX = ".bell"

CLOCK_OF_FOLDERS = 100_000_000
"""Nanoseconds within which two changes of a folder may bear the same time."""


def ring_on_commit() -> None:
    """Wake the workers once the caller's transaction has committed, once for all that it asks for; at once
    where there is none.
    """
    alias = jobs_alias()
    if not _will_be_rung(connections[alias]):
        transaction.on_commit(_wake_everybody, using=alias, robust=True)


def ring() -> None:
    """Wake every worker of this host that listens, whosever the folder is: a ring tells nothing."""
    with contextlib.suppress(OSError):
        for path in _bells.of(rundir.place()):
            _ring_one(_hand(), path)


class _Bells:
    """The sockets in a folder, which is read again only when it has changed."""

    def __init__(self) -> None:
        self._known: tuple[str, int, list[str]] = ("", 0, [])

    def of(self, folder: str) -> list[str]:
        """Their paths.

        Raises:
            OSError: there is no such folder.
        """
        changed = os.stat(folder).st_mtime_ns
        known_folder, known_change, paths = self._known
        if (folder, changed) != (known_folder, known_change):
            read_at = time.time_ns()
            paths = [f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(SUFFIX)]
            if changed < read_at - CLOCK_OF_FOLDERS:  # or another change may yet get the same time
                self._known = folder, changed, paths
        return paths


_bells = _Bells()


@cache
def _hand() -> socket.socket:
    """The socket that rings: one for the process, and for those that it forks."""
    hand = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    hand.setblocking(False)
    atexit.register(hand.close)
    return hand


def _wake_everybody() -> None:
    ring()
    notices.send()


def _will_be_rung(connection: Any) -> bool:
    """Whether to ring is the last of what is to be done at the commit: what a savepoint took back with it is
    there no more.
    """
    waiting: list[Any] = connection.run_on_commit if connection.in_atomic_block else []
    return bool(waiting) and waiting[-1][1] is _wake_everybody


def _ring_one(sender: socket.socket, path: str) -> None:
    try:
        sender.sendto(b"!", path)
    except ConnectionRefusedError:  # its process is dead
        with contextlib.suppress(OSError):
            os.unlink(path)
    except OSError:  # full, or just gone
        pass


class Bell:
    """The bell of one process: ``wait`` ends early when it is rung from outside, or by ``ring_here``."""

    def __init__(self) -> None:
        self._near, self._far = os.pipe()
        os.set_blocking(self._near, False)
        os.set_blocking(self._far, False)
        self._path = ""
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._is_rung = False

    def hang(self) -> None:
        """Begin to listen; without a run directory the bell rings for this process only."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listener.setblocking(False)
            self._path = str(rundir.run_dir() / f"{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}")
            listener.bind(self._path)
        except OSError:
            listener.close()
        else:
            self._socket = listener

    def ring_here(self) -> None:
        """Wake the thread of this process that waits; once the bell is closed, nobody does."""
        if self._is_rung:  # and not heard yet: what this is about will be seen, too
            return
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:  # the number of a closed file may belong to another by now
                self._is_rung = True
                os.write(self._far, b"!")

    def wait(self, seconds: float, also: int | None = None) -> bool:
        """Wait for a ring, at most so many seconds. Whether there was one.

        Parameters:
            also: a file that may have something to be read; that is a ring, too.
        """
        listened = select.poll()  # unlike select(), it also takes file numbers above 1,023
        for file in (self._near, self._socket and self._socket.fileno(), also):
            if file is not None:
                listened.register(file, select.POLLIN)
        rung = bool(listened.poll(max(0.0, seconds) * 1000))
        if rung:
            self._hush()
        return rung

    def close(self) -> None:
        """Take the bell down."""
        with self._lock:
            self._closed = True
            os.close(self._near)
            os.close(self._far)
        if self._socket is not None:
            self._socket.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _hush(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self._near, 4096)
        # Not before: a ring in between would be read away, and none after it heard.
        self._is_rung = False
        with contextlib.suppress(OSError):
            while self._socket is not None and self._socket.recv(16):
                pass
