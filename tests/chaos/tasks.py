"""Tasks that write into a diary when they start and when they end, with the job's id and the attempt."""

from __future__ import annotations

import ctypes
import fcntl
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
from django.contrib.auth.models import Group
from django.db import transaction
from dramatiq.worker import WorkerThread

from tests.chaos.crashing import append
from tests.support.waiting import wait_until
from tom_nightshift import current_job, progress, say

REPORTS = 10
"""Reports a second."""


@contextmanager
def entries(diary: str) -> Iterator[int]:
    """A line before the block and one after it; the attempt."""
    job = current_job()
    assert job is not None
    append(Path(diary), f"start {job.id} {job.attempt}")
    yield job.attempt
    append(Path(diary), f"end {job.id} {job.attempt}")


@dramatiq.actor
def work(diary: str, seconds: float) -> int:
    """Work for so long; the attempt that did it."""
    with entries(diary) as attempt:
        say(f"attempt {attempt} works")
        progress(0, 1)
        threading.Event().wait(seconds)  # the work itself
        return attempt


@dramatiq.actor
def follow(diary: str, *before: int) -> int:
    """Work at once on what the job before returned; the attempt that did it."""
    assert all(attempt >= 1 for attempt in before)
    with entries(diary) as attempt:
        return attempt


@dramatiq.actor(limit=("two at a time", 2))
def work_in_a_slot(diary: str, folder: str, seconds: float) -> int:
    """Work for so long, and write down how many do so at that moment, in all processes; the attempt."""
    job = current_job()
    assert job is not None
    with entries(diary) as attempt, occupied(Path(folder) / f"{job.id}-{attempt}.slot"):
        for _ in range(2):
            append(Path(folder) / "together", str(occupants(Path(folder))))
            threading.Event().wait(seconds / 2)  # the work itself
        return attempt


@contextmanager
def occupied(file: Path) -> Iterator[None]:
    """Lock the file; the kernel frees it when the process dies."""
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def occupants(folder: Path) -> int:
    """How many of its files are locked."""
    return sum(map(is_locked, folder.glob("*.slot")))


def is_locked(file: Path) -> bool:
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@dramatiq.actor(max_attempts=1000, backoff=0.05, max_backoff=100)
def stumble(diary: str, file: str) -> int:
    """Fail until the file is there, which the first attempt makes."""
    with entries(diary) as attempt:
        if not Path(file).exists():
            Path(file).touch()
            raise ValueError("the first time")
        return attempt


@dramatiq.actor
def linger(diary: str, file: str) -> int:
    """Work until the file is there."""
    with entries(diary) as attempt:
        wait_until(Path(file).exists, at_most=600)
        return attempt


def send(diary: str, jobs: int, longest: float, seed: int) -> None:
    """Ask for so many jobs, each of which works for up to ``longest`` seconds, in one transaction."""
    choose = random.Random(seed)
    with transaction.atomic():
        for _ in range(jobs):
            work.send(diary, choose.uniform(0, longest))


@dramatiq.actor
def hold_a_transaction(diary: str, seconds: float) -> int:
    """Write, then work for so long before the commit, reporting all the time; the attempt."""
    job = current_job()
    assert job is not None
    with entries(diary) as attempt, transaction.atomic():
        Group.objects.create(name=f"written by job {job.id}")
        steps = int(seconds * REPORTS)
        for done in range(steps):
            report(done, steps)
            threading.Event().wait(1 / REPORTS)  # the work itself
        return attempt


def report(done: int, total: int) -> None:
    """Say how far it is, which must not wait for the database."""
    began = time.monotonic()
    progress(done, total, "holding the database")
    say(f"step {done} of {total}")
    assert time.monotonic() - began < 1, "a report waited for the database"


@dramatiq.actor
def end_the_other_threads(count: int) -> int:
    """Raise SystemExit in every other thread that runs jobs, as a library might; in how many.

    Parameters:
        count: so many there are, once all have started: the first job may come before the last thread.
    """
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    wait_until(lambda: len(other_threads()) == count, what="the other threads")
    return sum(
        raise_in(ctypes.c_ulong(one.ident or 0), ctypes.py_object(SystemExit)) for one in other_threads()
    )


def other_threads() -> list[WorkerThread]:
    """The threads of this process that run jobs, but this one."""
    mine = threading.current_thread()
    return [one for one in threading.enumerate() if isinstance(one, WorkerThread) and one is not mine]
