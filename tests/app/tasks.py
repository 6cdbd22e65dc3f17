"""Tasks for tests with real worker processes. What they did stands in files, so that it outlives a crash."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import dramatiq

from tests.support.waiting import wait_until
from tom_nightshift import current_job, progress, say, step


@dramatiq.actor
def append(file: str) -> None:
    """Append the job's id."""
    _append(file)


@dramatiq.actor
def pass_gate(folder: str) -> None:
    """Come to a gate, and pass it once it is open."""
    place = Path(folder)
    with step("come"):
        say("at the gate")
        _append(place / "came")
    progress(1, 2, "at the gate")
    with step("pass"):
        wait_until((place / "open").exists, at_most=60)
        _append(place / "passed")


@dramatiq.actor
def crash(file: str) -> None:
    """Take the worker process down, as a fault in a C library does."""
    _append(file)
    os.kill(os.getpid(), signal.SIGKILL)


def _append(file: str | Path) -> None:
    job = current_job()
    assert job is not None
    with open(file, "ab", buffering=0) as opened:  # one write: those of several processes do not mix
        opened.write(f"{job.id}\n".encode())
