"""Running programs so that none outlives us: each in a group of its own, ended whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

_running: set[subprocess.Popen[bytes]] = set()
_ending = threading.Event()


def run(command: Sequence[str | Path], env: Mapping[str, str], output: IO[bytes] | None = None) -> int:
    """Run to the end and answer the exit code; if we are interrupted, the whole group is ended first."""
    if _ending.is_set():
        return -signal.SIGTERM
    environment = os.environ | dict(env)
    errors = subprocess.STDOUT if output else None
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors, start_new_session=True)
    _running.add(process)
    try:
        return process.wait()
    finally:
        end(process)
        _running.discard(process)


def end(process: subprocess.Popen[bytes], politely: int = signal.SIGINT, patience: float = 10) -> None:
    """Ask the process and what it started to end, wait, and then no longer ask."""
    if process.poll() is None:
        _signal_group(process, politely)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    _signal_group(process, signal.SIGKILL)  # also what a program left behind when it ended by itself
    process.wait()


def end_all() -> None:
    """End everything that `run` has under way in any thread, and let it start nothing more."""
    _ending.set()
    for process in tuple(_running):
        end(process)


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP what Ctrl-C is, so that every `finally` is reached."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all gone already; a Mac says the second
        os.killpg(process.pid, number)  # the leader of its own session: its id is the group's
