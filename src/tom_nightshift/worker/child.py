"""One worker process: an unpatched Dramatiq worker with its threads, from its birth by fork to its end."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import dramatiq

from tom_nightshift.ledger import capture

PR_SET_PDEATHSIG = 1
LOOK_FOR_PARENT = 1.0

STOP_THREADS = 2_000
"""Milliseconds for Dramatiq's threads to end once they have nothing to do; each looks once a second."""


def run_worker(broker: Any, *, threads: int, queues: Sequence[str], grace: float, parent: int) -> int:
    """Run jobs until told to end (SIGTERM) or until the supervisor is gone. The exit code.

    Parameters:
        queues: names of the queues to listen to; none: all.
        grace: seconds that running jobs may take to finish once told to end.
        parent: process id of the supervisor.
    """
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    _die_with_parent()
    random.seed()
    capture.install()
    worker = dramatiq.Worker(broker, queues=set(queues) or None, worker_threads=threads)
    broker.emit_after("process_boot")
    worker.start()
    while not told.wait(LOOK_FOR_PARENT) and os.getppid() == parent:
        pass
    _wind_down(broker, worker, grace)
    sys.stdout.flush()
    return 0


def _wind_down(broker: Any, worker: dramatiq.Worker, grace: float) -> None:
    """Claim nothing more, let running jobs finish, hand the rest back."""
    broker.dispatcher.stop_claiming()
    # Dramatiq's own stop counts the time it waited for one thread against the others, and gives up too early.
    broker.dispatcher.wait_for_running_jobs(grace)
    worker.stop(timeout=STOP_THREADS)


def _die_with_parent() -> None:
    """Have the kernel tell this process to end when its supervisor dies (Linux; elsewhere the loop above sees
    it).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
