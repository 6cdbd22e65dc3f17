"""``kill -9`` in the middle: the job runs again by itself, on the same row."""

from __future__ import annotations

import os
import signal

import pytest

from tests.app.tasks import crash, pass_gate
from tests.support.jobs import ended, job_of
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job
from tom_nightshift.states import State


def attempts_of(job):
    return [attempt.outcome for attempt in job.attempts.order_by("number")]


def test_a_job_whose_worker_is_killed_runs_again_by_itself(site, gate):
    message = pass_gate.send(str(gate.folder))
    with site.worker() as worker:
        wait_until(gate.came, at_most=PATIENCE)
        killed = worker.kill_child()

        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        assert worker.children() != [killed]
        assert worker.process.poll() is None
        gate.open()
        job = ended(message)

    assert Job.objects.count() == 1
    assert (job.state, job.attempt, job.losses, job.failures) == (State.SUCCEEDED, 2, 1, 0)
    assert attempts_of(job) == ["lost", "succeeded"]
    assert gate.passed() == [str(job.id)]


def test_a_supervisor_that_is_killed_takes_its_processes_along(site, gate):
    message = pass_gate.send(str(gate.folder))
    with site.worker("--grace=0.1", "--processes=2", ready=2) as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.tell(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL

    with site.worker():
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        gate.open()
        job = ended(message)

    assert (job.state, job.losses) == (State.SUCCEEDED, 0)  # told to end, not crashed
    assert attempts_of(job) == ["returned", "succeeded"]


def test_a_job_that_keeps_crashing_its_worker_is_set_aside(site, tmp_path):
    message = crash.send(str(tmp_path / "crashed"))
    with site.worker(MAX_LOSSES=3):
        job = ended(message, at_most=PATIENCE)

    assert len((tmp_path / "crashed").read_text().splitlines()) == 3
    assert (job.state, job.reason) == (State.FAILED, "poison")
    assert job.error.startswith("set aside: it crashed the worker 3 times (killed from outside")
    assert attempts_of(job) == ["lost"] * 3


@pytest.mark.parametrize("which", ["first", "second"])
def test_only_the_process_that_died_is_replaced(site, gate, which):
    with site.worker("--processes=2", ready=2) as worker:
        before = worker.children()
        killed, other = before if which == "first" else reversed(before)
        os.kill(killed, signal.SIGKILL)
        worker.says(" is ready: ", 3)

        assert other in worker.children()
        assert len(worker.children()) == 2
        message = pass_gate.send(str(gate.folder))
        gate.open()
        assert ended(message).state == State.SUCCEEDED
    assert job_of(message).losses == 0
