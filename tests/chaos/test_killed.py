"""``kill -9``: of worker processes at random, of the supervisor, of all at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import pytest

from tests.chaos.conftest import LONG
from tests.chaos.tasks import send
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, Worker
from tom_nightshift.models import Attempt, Job
from tom_nightshift.states import State

PROCESSES, THREADS = 2, 8
KILLS, JOBS_PER_KILL = (int(os.environ.get("NIGHTSHIFT_CHAOS_KILLS") or 500), 5) if LONG else (5, 60)
LONGEST_JOB = 1.0 if LONG else 0.5
"""Seconds. So long that each kill finds some of them running."""
OFTEN = {"MAX_LOSSES": 1000}
"""The jobs are innocent: none is to be set aside, however often its process is killed."""

pytestmark = pytest.mark.timeout(3600)


def pause(trial, least, most):
    """So long passes between two faults: part of the fault, and nothing is waited for."""
    threading.Event().wait(trial.chance.uniform(least, most))


def some_children(worker, but):
    """Those not yet killed: one that was killed is listed until its supervisor has seen it."""
    return wait_until(
        lambda: [pid for pid in worker.children() if pid not in but], at_most=PATIENCE, what="a process"
    )


def test_processes_killed_at_random(site, trial):
    """Worker processes, and those in which jobs that were interrupted run alone."""
    words = ["nightshift", f"--processes={PROCESSES}", f"--threads={THREADS}"]
    with site.worker(*words[1:], ready=PROCESSES, **OFTEN) as worker:
        kills: dict[int, float] = {}
        for number in range(KILLS):
            send(str(trial.diary), JOBS_PER_KILL, LONGEST_JOB, trial.seed + number)
            pause(trial, 0.2, 0.8)
            with contextlib.suppress(ProcessLookupError):
                victim = trial.chance.choice(some_children(worker, but=kills.keys()))
                os.kill(victim, signal.SIGKILL)
                kills[victim] = time.time()
        assert kills
        trial.ends_well(
            "A process is killed, at random",
            faults=len(kills),
            in_flight=THREADS,
            again=lambda: seconds_until_again(kills),
        )
        assert worker.process.poll() is None
        assert "engine fault" not in worker.log
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}


def seconds_until_again(kills):
    """From the kill of a worker process until each job that it ran was running again."""
    begun = {(a.job_id, a.number): a.started_at.timestamp() for a in Attempt.objects.exclude(started_at=None)}
    return [
        begun[lost.job_id, lost.number + 1] - kills[pid]
        for lost in Attempt.objects.filter(outcome="lost")
        if (pid := int(lost.worker.split(":")[1])) in kills and (lost.job_id, lost.number + 1) in begun
    ]


@pytest.mark.parametrize("whom", ["supervisor", "all"])
def test_a_supervisor_killed_and_another_started(site, trial, whom):
    rounds = 30 if LONG else 2
    send(str(trial.diary), 50 * rounds, LONGEST_JOB, trial.seed)
    for _ in range(rounds):
        with site.worker(
            f"--processes={PROCESSES}", f"--threads={THREADS}", "--grace=0.1", **OFTEN
        ) as worker:
            pause(trial, 0.1, 1.0)
            kill(worker, whom)
    with site.worker(f"--processes={PROCESSES}", f"--threads={THREADS}", **OFTEN):
        name = {"supervisor": "The supervisor is killed", "all": "All processes are killed at once"}[whom]
        trial.ends_well(name, faults=rounds, in_flight=PROCESSES * THREADS)


def kill(worker: Worker, whom: str) -> None:
    if whom == "all":
        os.killpg(worker.pid, signal.SIGKILL)
    else:
        worker.tell(signal.SIGKILL)
    worker.wait()
