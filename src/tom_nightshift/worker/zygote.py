"""Processes that run one job alone, on the supervisor's side: it forks them, tells how they ended, kills
them.

Each is somebody's: when whoever asked for it closes its end of the line, or dies, the process is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection

from tom_nightshift import events
from tom_nightshift.worker import isolated, spawn


class Zygote:
    """Forks processes that run one job alone, and knows whose they are.

    Parameters:
        fork: forks, and calls this in the child; the process id.
    """

    def __init__(self, fork: Callable[[Callable[[], int]], int]) -> None:
        self._fork = fork
        self._lines: dict[int, socket.socket] = {}
        """By process id: the line to whoever asked for it."""

    @property
    def sockets(self) -> list[socket.socket]:
        """The lines on which to listen."""
        return list(self._lines.values())

    def start(self, descriptors: list[int]) -> None:
        """Fork a process for somebody who sent these: the job's connection, and a line."""
        job, line = Connection(descriptors[0]), socket.socket(fileno=descriptors[1])
        line.setblocking(False)
        try:
            pid = self._fork(lambda: _be_alone(job, line))
        except OSError as error:  # no memory, too many processes: the line closes, and the job goes back
            events.process_failed(error)
            line.close()
        else:
            self._lines[pid] = line
        finally:
            job.close()

    def heed(self, line: socket.socket) -> None:
        """Something was said on a line, or it was closed: either way its process is to die."""
        with contextlib.suppress(OSError):
            line.recv(16)
        for pid, known in self._lines.items():
            if known is line:
                _kill(pid)

    def ended(self, pid: int, status: int) -> bool:
        """Tell how a process ended. Whether it was one of these."""
        line = self._lines.pop(pid, None)
        if line is None:
            return False
        with contextlib.suppress(OSError):
            line.send(str(status).encode())
        line.close()
        return True

    def kill_all(self) -> None:
        """Kill them all."""
        for pid in self._lines:
            _kill(pid)


def _be_alone(job: Connection, line: socket.socket) -> int:
    line.close()  # or the other end would not see that it is closed
    if spawn.is_wanted():
        spawn.become(spawn.ALONE, job)
    return isolated.run(job)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # reaped in a moment
        os.kill(pid, signal.SIGKILL)
