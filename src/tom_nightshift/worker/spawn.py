"""Births by spawn, for macOS: a process is forked, and replaced at once by a fresh interpreter.

There a process that goes on after a fork is not safe once the system's libraries have been used. So it runs
the supervisor's own command from the beginning, which loads everything anew and then asks here what it is.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

from tom_nightshift.worker import isolated
from tom_nightshift.worker.control import Control

WANTED = "NIGHTSHIFT_SPAWN"
"""Environment variable that asks for it elsewhere too, so that it can be tried there."""

BORN_AS = "NIGHTSHIFT_BORN_AS"
"""Environment variable that carries what the process is, its descriptor, and its supervisor."""

WORKER, ALONE = "worker", "alone"


def is_wanted() -> bool:
    """Whether processes are to be spawned."""
    return sys.platform == "darwin" or bool(os.environ.get(WANTED))


def become(kind: str, end: Control | Connection) -> NoReturn:
    """Replace this process, just forked by the supervisor, by a fresh one of this kind."""
    os.set_inheritable(end.fileno(), True)
    os.environ[BORN_AS] = f"{kind} {end.fileno()} {os.getppid()}"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


def live(worker: Callable[[Control], int]) -> int | None:
    """Be what this process was spawned for, and its exit code; None: it was not spawned.

    Parameters:
        worker: runs a worker process.
    """
    if BORN_AS not in os.environ:
        return None
    kind, descriptor, supervisor = os.environ.pop(BORN_AS).split()
    os.set_inheritable(int(descriptor), False)
    if kind == ALONE:
        return isolated.run(Connection(int(descriptor)))
    return worker(Control(socket.socket(fileno=int(descriptor)), int(supervisor)))
