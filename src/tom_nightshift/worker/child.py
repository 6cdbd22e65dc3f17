"""One worker process: an unpatched Dramatiq worker with its threads, from its birth to its end."""

from __future__ import annotations

import random
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dramatiq

from tom_nightshift import events
from tom_nightshift.ledger import capture, guard
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.worker.control import Control
from tom_nightshift.worker.isolation import Isolation

LOOK = 1.0
"""Seconds between two looks whether this process is to end; each also says that it is alive."""

STOP_THREADS = 2_000
"""Milliseconds for Dramatiq's threads to end once they have nothing to do; each looks once a second."""

LAST_WORDS = 5.0
"""Seconds in which jobs that were interrupted at the end may clean up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a worker process is to be like."""

    threads: int
    queues: Sequence[str]
    """Names of the queues to listen to; none: all."""

    grace: float
    """Seconds that running jobs may take to finish once it is told to end."""

    max_jobs: int = 0
    """Jobs after which it gives way to another; 0: never."""

    max_memory: int = 0
    """Bytes of memory above which it gives way to another; 0: never."""

    drain: bool = False
    """Whether it ends once nothing is left to do."""


def run_worker(broker: Any, shape: Shape, control: Control) -> int:
    """Run jobs until told to end (SIGTERM), until it gives way to another, or until its supervisor is gone.
    The exit code.
    """
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    random.seed()
    capture.install()
    guard.isolate_by(Isolation(control))
    worker = dramatiq.Worker(broker, queues=set(shape.queues) or None, worker_threads=shape.threads)
    broker.emit_after("process_boot")
    worker.start()
    signal.signal(signal.SIGHUP, lambda *_: broker.dispatcher.retire("the code was loaded anew"))
    _work(broker.dispatcher, shape, control, told)
    _wind_down(broker.dispatcher, worker, shape.grace)
    sys.stdout.flush()
    return 0


def _work(dispatcher: Dispatcher, shape: Shape, control: Control, told: threading.Event) -> None:
    """Look once a second whether it is time to end."""
    while not told.wait(LOOK) and not control.is_orphaned:
        control.alive()
        if shape.drain and dispatcher.idle.is_set():
            return
        if why := dispatcher.retiring or _worn_out(dispatcher, shape):
            _retire(dispatcher, control, told, why)
            return


def _worn_out(dispatcher: Dispatcher, shape: Shape) -> str:
    """Why this process should give way to another; empty: it should not."""
    if shape.max_jobs and dispatcher.finished >= shape.max_jobs:
        return f"it has run {dispatcher.finished} jobs"
    memory = _memory() if shape.max_memory else 0
    return f"it takes {memory:,} bytes of memory" if memory > shape.max_memory else ""


def _retire(dispatcher: Dispatcher, control: Control, told: threading.Event, why: str) -> None:
    """Let another take the place at once; end when the jobs in hand have ended, however long they take."""
    events.worker_retires(why)
    dispatcher.stop_claiming(leaving=False)
    control.retires()
    while dispatcher.in_hand.can_end and not told.wait(LOOK) and not control.is_orphaned:
        control.alive()


def _wind_down(dispatcher: Dispatcher, worker: dramatiq.Worker, grace: float) -> None:
    """Claim nothing more, let running jobs finish, interrupt the rest and hand it back."""
    dispatcher.stop_claiming()
    # Dramatiq's own stop counts the time it waited for one thread against the others, and gives up too early.
    dispatcher.wait_for_running_jobs(grace)
    if dispatcher.in_hand.can_end:
        dispatcher.in_hand.interrupt(LAST_WORDS / 2)
        dispatcher.wait_for_running_jobs(LAST_WORDS)
    stuck = dispatcher.give_up_stuck()
    worker.stop(timeout=0 if stuck else STOP_THREADS)  # a row that says "stopped" is not to be a lie for long


def _memory() -> int:
    """Bytes of memory that this process takes by itself (Linux), or has taken at most (elsewhere)."""
    try:
        with open("/proc/self/statm") as statm:
            _, resident, shared, *_ = (int(pages) for pages in statm.read().split())
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return (resident - shared) * resource.getpagesize()
