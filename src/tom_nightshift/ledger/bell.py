"""The doorbell: a datagram that wakes the workers of this host at once. Polling underneath is the path that
is correct.

Every worker process listens on a socket of its own in the run directory. Ringing never waits and never fails:
a socket that is full has been rung already.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import uuid

from django.db import transaction

from tom_nightshift.ledger.rundir import run_dir
from tom_nightshift.ledger.session import jobs_alias

SUFFIX = ".bell"


def ring_on_commit() -> None:
    """Ring once the caller's transaction has committed; at once where there is none."""
    transaction.on_commit(ring, using=jobs_alias(), robust=True)


def ring() -> None:
    """Wake every worker of this host that listens."""
    with contextlib.suppress(OSError):
        folder = run_dir()
        bells = [entry.path for entry in os.scandir(folder) if entry.name.endswith(SUFFIX)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for path in bells:
                _ring_one(sender, path)


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

    def hang(self) -> None:
        """Begin to listen; without a run directory the bell rings for this process only."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listener.setblocking(False)
            self._path = str(run_dir() / f"{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}")
            listener.bind(self._path)
        except OSError:
            listener.close()
        else:
            self._socket = listener

    def ring_here(self) -> None:
        """Wake the thread of this process that waits; once the bell is closed, nobody does."""
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:  # the number of a closed file may belong to another by now
                os.write(self._far, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most so many seconds. Whether there was one."""
        listened = select.poll()  # unlike select(), it also takes file numbers above 1,023
        listened.register(self._near, select.POLLIN)
        if self._socket is not None:
            listened.register(self._socket, select.POLLIN)
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
        with contextlib.suppress(OSError):
            while self._socket is not None and self._socket.recv(16):
                pass
