"""Runs an attempt in a process of its own: the side of that process, from its birth by fork to its end.

It is a copy of the supervisor (on macOS, its command begun anew), so everything is loaded, and it has no
thread and no connection but those that it makes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

import dramatiq
from django.db import connections
from dramatiq import Message, MessageProxy
from dramatiq.middleware import CurrentMessage, Interrupt

from tom_nightshift.ledger import capture, guard
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.hooks import traceback_of
from tom_nightshift.ledger.options import Terms
from tom_nightshift.worker.parcels import ASK, Assignment, Ended, Said, packed

INTERVAL = 0.5
"""Seconds between two reports."""

MEGABYTE = 1 << 20


def run(job: Connection) -> int:
    """Run what comes over the connection; the exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what it means is decided by the worker
    assignment: Assignment = job.recv()
    capture.install()
    attempt = assignment.attempt()
    threading.Thread(target=_listen, args=(job, attempt), daemon=True).start()
    done = threading.Event()
    speaker = threading.Thread(target=_speak, args=(job, attempt, done), daemon=True)
    speaker.start()
    _limit(assignment.terms)  # a thread's own stack counts too
    ended = _run(assignment, attempt)
    done.set()
    speaker.join()
    job.send_bytes(packed(ended))
    sys.stdout.flush()
    return 0


def _run(assignment: Assignment, attempt: Attempt) -> Ended:
    broker = dramatiq.get_broker()
    current.set(attempt)
    if assignment.message:
        message = MessageProxy(Message.decode(assignment.message))
        CurrentMessage().before_process_message(broker, message)  # type: ignore[no-untyped-call]
    fn = broker.get_actor(assignment.task).fn
    try:
        returned = guard.in_frame(attempt, fn, assignment.args, assignment.kwargs)
    except BaseException as error:  # noqa: BLE001 - it ends the attempt in the worker, whatever it is
        _end(attempt)
        return Ended.by(error, Said.of(attempt), traceback_of(error))
    _end(attempt)
    return Ended(Said.of(attempt), returned)


def _end(attempt: Attempt) -> None:
    attempt.log.end_line(capture.clock())
    current.set(None)
    connections.close_all()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))  # to say how it ended takes memory too


def _speak(job: Connection, attempt: Attempt, done: threading.Event) -> None:
    while not done.wait(INTERVAL):
        said = Said.of(attempt)
        if said.lines or said.reports is not None:
            job.send(said)


def _listen(job: Connection, attempt: Attempt) -> None:
    """Do as the worker says; without a worker there is nobody to run for."""
    try:
        while True:
            word = job.recv()
            if word == ASK:
                attempt.stop_requested = True
            else:
                _interrupt(attempt, word)
    except (OSError, EOFError):
        os._exit(1)


def _interrupt(attempt: Attempt, kind: type[Interrupt]) -> None:
    while not attempt.frame.interrupt(kind) and not attempt.entered:
        time.sleep(0.01)  # its task is about to begin


def _limit(terms: Terms) -> None:
    """Memory and computing time as the task asks; beyond, MemoryError is raised, or the system ends it."""
    if terms.memory:
        most = _data_now() + int(terms.memory)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    if terms.cpu_time:
        seconds = max(1, round(terms.cpu_time))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def _data_now() -> int:
    """Bytes of private memory that this process has now; what it shares with the supervisor is in it."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 256 * MEGABYTE  # not Linux: what a loaded TOM takes
