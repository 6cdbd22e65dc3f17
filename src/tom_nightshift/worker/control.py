"""What a worker process and its supervisor say to one another, over a socket made before the fork.

The worker says that it is alive, that it gives way to another, and asks for a process that runs one job
alone; the supervisor is the one who forks that, since it has no thread and no connection that a copy could be
harmed by.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from multiprocessing.connection import Connection

ALIVE, RETIRES, ISOLATE = b"alive", b"retires", b"isolate"
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Alone:
    """The two ends that stay with whoever asked for a process that runs one job alone."""

    job: Connection
    """To the process: what to run, what it says, how it ended."""

    life: socket.socket
    """To the supervisor: closed here, the process is killed; its exit status comes back."""


class Control:
    """A worker's end.

    Parameters:
        end: of the socket to the supervisor.
        parent: process id of the supervisor.
    """

    def __init__(self, end: socket.socket, parent: int) -> None:
        self._end = end
        self._parent = parent

    @property
    def is_orphaned(self) -> bool:
        """Whether the supervisor is gone."""
        return os.getppid() != self._parent

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._end.fileno()

    def alive(self) -> None:
        """Say that this process is alive."""
        self._say(ALIVE)

    def retires(self) -> None:
        """Say that this process takes no more jobs: another may start in its place."""
        self._say(RETIRES)

    def isolate(self) -> Alone:
        """Ask for a process that runs one job alone.

        Raises:
            OSError: the supervisor does not answer.
        """
        ours, theirs = socket.socketpair()
        life, their_life = socket.socketpair()
        with theirs, their_life:
            socket.send_fds(self._end, [ISOLATE], [theirs.fileno(), their_life.fileno()])
        return Alone(Connection(ours.detach()), life)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # a supervisor that is busy, or gone, will see it otherwise
            self._end.send(word, socket.MSG_DONTWAIT)


def pair() -> tuple[socket.socket, socket.socket]:
    """(the supervisor's end, the worker's end). Datagrams: a word is never cut in two."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    return ours, theirs
