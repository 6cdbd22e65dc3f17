"""Tasks for tests with real worker processes. What they did stands in files, so that it outlives a crash."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from pathlib import Path

import dramatiq
from dramatiq.middleware import Middleware

from tests.support.waiting import wait_until
from tom_nightshift import Later, TaskError, current_job, progress, result, say, step, warn


@dramatiq.actor
def append(file: str) -> None:
    """Append the job's id."""
    _append(file)


@dramatiq.actor
def fail() -> None:
    """Fail with a sentence."""
    raise TaskError("it was not to be")


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


@dramatiq.actor
def segfault(file: str) -> None:
    """Read where nothing is, as a fault in a C library does."""
    _append(file)
    ctypes.string_at(0)


@dramatiq.actor
def sleep(folder: str, seconds: float) -> None:
    """Wait inside one call into C, which no interrupt cuts short."""
    _append(Path(folder) / "came")
    ctypes.CDLL(None).sleep(int(seconds))
    _append(Path(folder) / "passed")


@dramatiq.actor(isolation="process")
def sleep_alone(folder: str, seconds: float) -> None:
    """The same, in a process of its own."""
    sleep.fn(folder, seconds)


@dramatiq.actor
def spin(folder: str) -> None:
    """Work in Python without a word, until it is interrupted."""
    _append(Path(folder) / "came")
    while True:
        pass


@dramatiq.actor
def hold_everything(folder: str, seconds: int) -> None:
    """Wait in C without letting any other thread run, as a bad library does."""
    _append(Path(folder) / "came")
    ctypes.PyDLL(None).sleep(seconds)
    _append(Path(folder) / "passed")


@dramatiq.actor(isolation="process", memory=200 << 20)
def eat_memory(file: str) -> None:
    """Take more memory than its task allows."""
    _append(file)
    eaten = []
    while True:
        eaten.append(bytearray(10 << 20))


@dramatiq.actor(isolation="process", cpu_time=1)
def compute(file: str) -> None:
    """Compute for longer than its task allows."""
    _append(file)
    while True:
        pass


@dramatiq.actor(isolation="process")
def speak_alone(words: str) -> dict[str, str]:
    """Say all that a task can say, from a process of its own."""
    say(words)
    print("printed")
    progress(1, 4, "a quarter")
    with step("first") as first:
        first.value = os.getpid()
    warn("mind the gap")
    result("/there/", "there")
    return {"summary": words}


@dramatiq.actor(isolation="process", max_attempts=2, backoff=lambda *_: 0)
def wait_alone(file: str) -> str:
    """Wait for something, and fail once, in a process of its own."""
    with step("ask") as asked:
        if not asked.done:
            asked.value = "request 7"
    looks = _append(file)
    if looks == 1:
        raise Later(0.1, "waiting for ATLAS")
    if looks == 2:
        raise RuntimeError("it did not answer") from Busy("too busy")
    return str(asked.value)


class Busy(Exception):
    """A server asks to come again in a second."""

    retry_after = 1


@dramatiq.actor(isolation="process", title="Log in with {token}")
def log_in_alone(token: str) -> None:
    """Say a secret wherever that is possible, from a process of its own, and fail with it."""
    say(f"said {token}")
    with step(f"step {token}"):
        progress(1, 2, f"with {token}")
    warn(f"warned of {token}")
    raise PermissionError(f"no access with {token}")


@dramatiq.actor
def lose_its_end(file: str) -> None:
    """The first time, the thread ends before anybody hears how the task ended."""
    if _append(file) == 1:
        dramatiq.get_broker().add_middleware(EndsThread())


class EndsThread(Middleware):
    """Ends the thread of that task, once, silently: as an interrupt does that comes too late."""

    def before_ack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        if message.actor_name == lose_its_end.actor_name:
            broker.middleware.remove(self)
            raise SystemExit


def _append(file: str | Path) -> int:
    """How many lines there are now."""
    job = current_job()
    assert job is not None
    with open(file, "ab", buffering=0) as opened:  # one write: those of several processes do not mix
        opened.write(f"{job.id}\n".encode())
    return len(Path(file).read_text().splitlines())


@dramatiq.actor(isolation="process")
async def alone_and_async(file: str) -> int:
    """Append the job's id, on an event loop, in a process of its own; the number of that process."""
    await asyncio.sleep(0)
    _append(file)
    return os.getpid()


@dramatiq.actor(track=False)
def append_untracked(file: str) -> None:
    """Append a line, with no row to tell of it."""
    with Path(file).open("a") as lines:
        lines.write("untracked\n")
